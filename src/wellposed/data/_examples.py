"""Rows of data: inputs with their targets."""

from collections.abc import Iterator
from hashlib import sha256
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float, Int64, Shaped
from numpy.typing import NDArray
from torch import Tensor

from wellposed.data._prefetch import default_workers, in_order
from wellposed.data._standardization import Standardization
from wellposed.data._store import Memory, Selected, Store, unit
from wellposed.errors import require

_CHUNK = 8 * 2**20  # bytes of float32 handled at a time


@final
class Examples:
    """n inputs with their targets, in memory or read when asked for.

    Args:
        inputs: Shape (n, *shape), or a store of them. Bytes (`uint8`) stand for 255ths; whatever
            else becomes float32.
        targets: Class numbers, shape (n,), becoming int64.
        standardization: Applied to whatever is read; None leaves raw values.
        sha256: The fingerprint where it is known already.
    """

    def __init__(
        self,
        inputs: Tensor | NDArray[Any] | Store,
        targets: Tensor | NDArray[Any],
        *,
        standardization: Standardization | None = None,
        sha256: str | None = None,
    ) -> None:
        self._store = inputs if isinstance(inputs, Store) else Memory(_raw(inputs))
        self.targets: Int64[Tensor, " n"] = _targets(targets)
        self._standardization = standardization
        self._sha256 = sha256
        n, m = len(self._store), len(self.targets)
        require(n == m, f"found {n} inputs but {m} targets; there must be one target per input")
        require(n > 0, "found no examples; at least one is needed")
        empty = not self.shape or 0 in self.shape
        require(not empty, f"one input has shape {self.shape}; it must hold at least one number")

    def __len__(self) -> int:
        return len(self.targets)

    def __repr__(self) -> str:
        where = "in memory" if self.in_memory else "streamed"
        return f"Examples(n={len(self)}, shape={self.shape}, {where})"

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one input, for images (channels, height, width)."""
        return self._store.shape

    @property
    def in_memory(self) -> bool:
        """Whether `inputs` is a finished float32 tensor that costs nothing to ask for."""
        ready = isinstance(self._store, Memory) and self._store.tensor.is_floating_point()
        return ready and self._standardization is None

    @property
    def inputs(self) -> Float[Tensor, "n ..."]:
        """All inputs as float32. Free if in memory; otherwise everything is read."""
        if self.in_memory and isinstance(self._store, Memory):
            return self._store.tensor
        return torch.cat([self._finish(raw) for raw in self.chunks()])

    def take(
        self, indices: Int64[Tensor, " rows"]
    ) -> tuple[Float[Tensor, "rows ..."], Int64[Tensor, " rows"]]:
        """Inputs (float32) and targets of these rows, in this order, as new tensors."""
        return self._finish(self._store.read(indices)), self.targets.index_select(0, indices)

    def select(self, indices: Int64[Tensor, " rows"]) -> "Examples":
        """These rows as examples of their own; inputs are not copied."""
        store = Selected(self._store, indices)
        return Examples(store, self.targets[indices], standardization=self._standardization)

    def relabeled(self, targets: Int64[Tensor, " n"]) -> "Examples":
        """The same inputs with other targets; inputs are not copied."""
        return Examples(self._store, targets, standardization=self._standardization)

    def standardized(self, standardization: Standardization, sha256: str) -> "Examples":
        """The same rows, standardized whenever they are read; the fingerprint is handed on."""
        return Examples(self._store, self.targets, standardization=standardization, sha256=sha256)

    def chunks(self) -> Iterator[Shaped[Tensor, "rows ..."]]:
        """All raw inputs in order, a few megabytes at a time, read ahead by threads."""
        rows = max(1, _CHUNK // (4 * int(np.prod(self.shape))))
        if isinstance(self._store, Memory):
            yield from self._store.tensor.split(rows)
        else:
            parts = torch.arange(len(self)).split(rows)
            yield from in_order(self._store.read, parts, workers=default_workers())

    @property
    def sha256(self) -> str:
        """Fingerprint of raw inputs and targets; the same in memory and streamed.

        Computed when first asked for, which reads everything once.
        """
        if self._sha256 is None:
            digest = Fingerprint()
            for raw in self.chunks():
                digest.add(raw)
            self._sha256 = digest.hexdigest(self.targets)
        return self._sha256

    def _finish(self, raw: Tensor) -> Tensor:
        x = unit(raw)
        return x if self._standardization is None else self._standardization.apply(x)


@final
class Fingerprint:
    """SHA-256 over raw inputs, fed chunk by chunk, and their targets."""

    def __init__(self) -> None:
        self._digest = sha256()

    def add(self, raw: Shaped[Tensor, "rows ..."]) -> None:
        """Take these inputs into account; how a stream is cut makes no difference."""
        self._digest.update(raw.contiguous().numpy().data)
        self._kind = (str(raw.dtype), tuple(raw.shape[1:]))

    def hexdigest(self, targets: Int64[Tensor, " n"]) -> str:
        """The fingerprint of all that was added, with these targets, 64 hexadecimal digits."""
        self._digest.update(targets.numpy().data)
        self._digest.update(repr((self._kind, len(targets))).encode())
        return self._digest.hexdigest()


def _tensor(values: Tensor | NDArray[Any]) -> Tensor:
    if isinstance(values, Tensor):
        return values
    array = np.asarray(values)
    require(array.dtype.kind in "buif", f"inputs and targets must be numbers, got {array.dtype}")
    native = array.dtype.newbyteorder("=")  # torch has no tensors of foreign byte order
    return torch.from_numpy(np.require(array, native, ["C", "W"]))


def _raw(values: Tensor | NDArray[Any]) -> Tensor:
    tensor = _tensor(values)
    require(tensor.dim() >= 1, "inputs must have shape (n, ...), got a single number")
    require(not tensor.is_complex(), f"inputs must be real numbers, got {tensor.dtype}")
    return tensor if tensor.dtype == torch.uint8 else tensor.float()


def _targets(values: Tensor | NDArray[Any]) -> Tensor:
    tensor = _tensor(values)
    integer = not (tensor.is_floating_point() or tensor.is_complex())
    require(
        tensor.dim() == 1 and integer,
        f"targets must be whole class numbers of shape (n,), got shape {tuple(tensor.shape)} "
        f"of {tensor.dtype}",
    )
    return tensor.long()
