"""Inputs that are read by row number, wherever they lie."""

from abc import ABC, abstractmethod
from typing import final

from jaxtyping import Float, Int64, Shaped
from torch import Tensor


class Store(ABC):
    """n raw inputs of one shape, read by row number.

    Raw means: as the source gives them. `uint8` stands for 255ths, so that 255 is 1.0; anything
    else is `float32`. Rows are read from several threads at once.
    """

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Shape of one input, for images (channels, height, width)."""

    @abstractmethod
    def __len__(self) -> int:
        """How many inputs there are."""

    @abstractmethod
    def read(self, rows: Int64[Tensor, " rows"]) -> Shaped[Tensor, "rows ..."]:
        """The raw inputs of these rows, in this order."""


@final
class Memory(Store):
    """Inputs that lie in one tensor, which may be mapped from a file.

    Args:
        tensor: Shape (n, *shape), uint8 or float32.
    """

    def __init__(self, tensor: Shaped[Tensor, "n ..."]) -> None:
        self.tensor = tensor

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one input."""
        return tuple(self.tensor.shape[1:])

    def __len__(self) -> int:
        return len(self.tensor)

    def read(self, rows: Int64[Tensor, " rows"]) -> Shaped[Tensor, "rows ..."]:
        """The raw inputs of these rows, copied."""
        return self.tensor.index_select(0, rows)


@final
class Selected(Store):
    """Some rows of another store, in a given order, without copying.

    Args:
        store: Where the inputs lie.
        rows: Which of them, shape (n,).
    """

    def __init__(self, store: Store, rows: Int64[Tensor, " n"]) -> None:
        self._store = store
        self._rows = rows

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one input."""
        return self._store.shape

    def __len__(self) -> int:
        return len(self._rows)

    def read(self, rows: Int64[Tensor, " rows"]) -> Shaped[Tensor, "rows ..."]:
        """The raw inputs of these rows of the selection."""
        return self._store.read(self._rows[rows])


def unit(raw: Shaped[Tensor, "n ..."]) -> Float[Tensor, "n ..."]:
    """Raw inputs as float32: 255ths for bytes, and floats as they are."""
    return raw.float().div_(255) if not raw.is_floating_point() else raw
