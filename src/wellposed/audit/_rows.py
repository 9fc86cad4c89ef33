"""Rows of data as an audit takes them: from anything that has a length and gives examples."""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol, final, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from wellposed.errors import ArgumentError, in_a_line, require

PARTS = ("train", "validation", "test")


@runtime_checkable
class Rows(Protocol):
    """A part of the data: `len` of it, and `take(rows)` -> (inputs, targets)."""

    def __len__(self) -> int:
        """How many examples there are."""
        ...

    def take(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """The inputs and targets of these rows (int64), in this order."""
        ...


@final
class Held:
    """Rows in memory.

    Args:
        inputs: Shape (n, ...), of any type: integers stay integers (tokens).
        targets: Shape (n, ...); class numbers of any integer type become int64.
    """

    def __init__(self, inputs: Tensor, targets: Tensor) -> None:
        require(
            len(inputs) == len(targets) > 0,
            f"found {len(inputs)} inputs and {len(targets)} targets; there must be one target per "
            "input, and at least one",
        )
        self._inputs, self.targets = inputs, _numbers(targets)

    def __len__(self) -> int:
        return len(self._inputs)

    def take(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """The inputs and targets of these rows, in this order."""
        rows = rows.to(self._inputs.device)
        return self._inputs[rows], self.targets[rows.to(self.targets.device)]


@final
class Indexed:
    """Rows of a dataset in torch's sense: `len(dataset)` and `dataset[i]` -> (input, target).

    Args:
        dataset: Examples are read when they are taken, and stacked.
    """

    def __init__(self, dataset: Any) -> None:
        require(len(dataset) > 0, "a part of the data is empty; leave it out, or give examples")
        self._dataset = dataset

    def __len__(self) -> int:
        return len(self._dataset)

    def take(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """The inputs and targets of these rows, in this order.

        Raises:
            ArgumentError: If an item cannot be read, is no pair, or inputs differ in shape.
        """
        items = [self._item(row) for row in rows.tolist()]
        pairs = all(isinstance(item, tuple | list) and len(item) == 2 for item in items)
        if not pairs:
            raise ArgumentError(
                f"an item of the dataset is a {type(items[0]).__name__}; an audit needs pairs "
                "(input, target), so wrap the dataset in one that gives them"
            )
        inputs = [_tensor(item[0], "input") for item in items]
        shapes = {tuple(i.shape) for i in inputs}
        require(
            len(shapes) == 1,
            f"inputs have the shapes {sorted(shapes)[:3]}; an audit stacks them into batches, so "
            "resize or pad them to one shape",
        )
        targets = torch.stack([_tensor(item[1], "target") for item in items])
        return torch.stack(inputs), _numbers(targets)

    def _item(self, row: int) -> Any:
        """One example as the dataset gives it.

        Raises:
            ArgumentError: If it raises something instead.
        """
        try:
            return self._dataset[row]
        except Exception as error:
            fault = f"item {row} of the dataset cannot be read: {in_a_line(error)}"
            raise ArgumentError(fault) from error


def parts_of(data: Any) -> dict[str, Rows]:
    """The parts of whatever was given as data.

    Args:
        data: A `wellposed.data.Dataset`; a mapping from "train", "validation", "test" to parts; or
            one part, which is then the test part. A part is a pair (inputs, targets), anything
            with `take`, or a dataset of torch's kind with `len` and items (input, target).

    Raises `ArgumentError` if it is something else, or a part has another name.
    """
    given = getattr(data, "parts", data)
    if not isinstance(given, Mapping):
        given = {"test": given}
    found = {str(name): _part(part) for name, part in given.items() if part is not None}
    require(
        bool(found) and set(found) <= set(PARTS),
        f"the data have the parts {sorted(found)}; parts are called {', '.join(PARTS)}, and at "
        "least one is needed",
    )
    return {name: found[name] for name in PARTS if name in found}


def _tensor(value: Any, what: str) -> Tensor:
    """What torch can make a tensor of.

    Raises:
        ArgumentError: If it cannot.
    """
    try:
        return torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ArgumentError(
            f"found a {type(value).__name__} as the {what}; an audit needs tensors or arrays, so "
            "convert it, as torchvision's ToTensor does with pictures"
        ) from error


def _numbers(targets: Tensor) -> Tensor:
    """Integers as int64, of which torch counts and gathers; other targets as they are."""
    whole = not (targets.is_floating_point() or targets.is_complex())
    return targets.long() if whole else targets


def _part(part: Any) -> Rows:
    if isinstance(part, Tensor | np.ndarray):
        raise ArgumentError(
            f"a part of the data is one array of shape {tuple(part.shape)}; an audit needs "
            "(inputs, targets)"
        )
    if isinstance(part, Rows):
        return part
    if isinstance(part, tuple | list) and len(part) == 2:
        return Held(_tensor(part[0], "set of inputs"), _tensor(part[1], "set of targets"))
    if hasattr(part, "__len__") and hasattr(part, "__getitem__") and not isinstance(part, str):
        return Indexed(part)
    endless = isinstance(part, Iterable)
    raise ArgumentError(
        f"a part of the data is a {type(part).__name__}; an audit needs (inputs, targets), a "
        "dataset with a length and items, or an object with take(rows)"
        + (": collect what it yields first" if endless else "")
    )
