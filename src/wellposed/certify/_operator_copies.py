"""Operators that only move values: found out by what they do to a batch of numbers."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, fx

from wellposed.certify._copies import Copies
from wellposed.certify._operation import Concatenation, Reshape, Scale, Sum, count
from wellposed.certify._read import Operator, Reader, arguments_of, name_of

_FIRST = ("max", "adaptive_max_pool1d", "adaptive_max_pool2d")  # of two results


def copies(reader: Reader, node: fx.Node, source: int, function: Callable[[Tensor], Any]) -> Copies:
    """What a function that moves values does, as an operation.

    Raises `ArgumentError` if it moves values between examples.
    """
    before = reader.operations[source].shape
    number = count(before)
    numbers = torch.arange(1, reader.batch * number + 1, dtype=torch.float64)
    found = function(numbers.reshape(reader.batch, *before)).long()
    if len(found) != reader.batch:
        raise reader.refused(node, "whose value is not a batch of examples")
    first = torch.arange(reader.batch).reshape(-1, *(1,) * (found.dim() - 1)) * number
    place = torch.where(found == 0, 0, found - first)
    inside = (place >= 0) & (place <= number) & (place == place[0])
    if not bool(inside.all()):
        raise reader.refused(node, "which moves values from one example to another")
    place = torch.where(place[0] == 0, number, place[0] - 1)
    return Copies((source,), tuple(place.shape), before, place)


def expanded(reader: Reader, node: fx.Node, source: int) -> int:
    """A value repeated to the shape of the node's, as broadcasting does."""
    shape, before = reader.shape(node), reader.operations[source].shape
    if shape == before:
        return source
    if len(before) != len(shape):
        raise reader.refused(node, "of values with different numbers of axes")
    return reader.add(
        copies(reader, node, source, lambda value: value.expand(reader.batch, *shape))
    )


def _moved(reader: Reader, node: fx.Node) -> None:
    _keep(reader, node, reader.function(node))


def _listed(reader: Reader, node: fx.Node) -> None:
    """The list is read by `getitem`, which asks the node again."""
    reader.same(node)


def _item(reader: Reader, node: fx.Node) -> None:
    parent, index = node.args
    assert isinstance(parent, fx.Node)
    if name_of(parent) in _FIRST:
        if index != 0:
            raise reader.refused(node, f"to the places that {name_of(parent)} finds")
        reader.same(node)
        return
    every = reader.function(parent)
    _keep(reader, node, lambda value: every(value)[index])


def _keep(reader: Reader, node: fx.Node, function: Callable[[Tensor], Any]) -> None:
    [source] = {
        number for argument in node.all_input_nodes
        if (number := reader.number(argument)) is not None
    }  # fmt: skip
    operation = copies(reader, node, source, function)
    reader.keep(node, operation)


def _padded(reader: Reader, node: fx.Node) -> None:
    given = arguments_of(node)
    value = float(given.get("value") or 0.0)
    if not value or given.get("mode", "constant") != "constant":
        _moved(reader, node)
        return
    source = reader.source(node)
    zeros = copies(reader, node, source, reader.function(node, instead={"value": 0.0}))
    shift = torch.where(zeros.place == count(zeros.before), value, 0.0).double()
    one = torch.ones((1,) * shift.dim(), dtype=torch.float64)
    moved = reader.add(zeros)
    reader.keep(node, Scale((moved,), zeros.shape, one, shift, shift.abs(), 1))


def _reshape(reader: Reader, node: fx.Node) -> None:
    source = reader.source(node)
    before, after = reader.operations[source].shape, reader.shape(node)
    if count(before) != count(after):
        raise reader.refused(node, f"from {before} to {after}")
    if before == after:
        reader.numbers[node] = source
    else:
        reader.keep(node, Reshape((source,), after, before))


def _concatenate(reader: Reader, node: fx.Node) -> None:
    given = arguments_of(node)
    shape = reader.shape(node)
    numbers = [reader.number(part) for part in given["tensors"]]
    sources = tuple(number for number in numbers if number is not None)
    if given["dim"] % (len(shape) + 1) == 1 and len(sources) == len(numbers):
        lengths = tuple(reader.operations[part].shape[0] for part in sources)
        reader.keep(node, Concatenation(sources, shape, lengths))
    else:
        _side_by_side(reader, node, given["tensors"], int(given["dim"]), torch.cat)


def _stacked(reader: Reader, node: fx.Node) -> None:
    given = arguments_of(node)
    _side_by_side(reader, node, given["tensors"], int(given["dim"]), torch.stack)


def _side_by_side(
    reader: Reader, node: fx.Node, parts: list[Any], axis: int, join: Callable[..., Tensor]
) -> None:
    """A sum of the parts, each with zeros where the others are, and the constant ones."""
    axes = len(reader.shape(node)) + 1
    if axis % axes == 0:
        raise reader.refused(node, "along the batch")
    zeros = [torch.zeros(part.meta["val"].shape, dtype=torch.float64) for part in parts]

    def alone(place: int, value: Tensor) -> Tensor:
        return join([*zeros[:place], value.double(), *zeros[place + 1 :]], axis)

    moved: list[int] = []
    offset = torch.zeros(reader.shape(node), dtype=torch.float64)
    for place, part in enumerate(parts):
        source = reader.number(part)
        if source is not None:
            moved.append(reader.add(copies(reader, node, source, partial(alone, place))))
            continue
        constant = reader.tensor(part)
        assert constant is not None
        every = alone(place, constant)
        if not torch.equal(every, every[:1].expand_as(every)):
            raise reader.refused(node, "with a constant for each example of the batch")
        offset = offset + every[0]
    shape = tuple(offset.shape)
    together = moved[0]
    if len(moved) > 1:
        together = reader.add(Sum(tuple(moved), shape, (1.0,) * len(moved)))
    one = torch.ones((1,) * len(shape), dtype=torch.float64)
    reader.keep(node, Scale((together,), shape, one, offset, offset.abs(), 1))


COPIES: dict[str, Operator] = {
    "flatten": _reshape,
    "view": _reshape,
    "reshape": _reshape,
    "unflatten": _reshape,
    "_unsafe_view": _reshape,
    "squeeze": _reshape,
    "unsqueeze": _reshape,
    "cat": _concatenate,
    "concat": _concatenate,
    "concatenate": _concatenate,
    "stack": _stacked,
    "pad": _padded,
    "constant_pad_nd": _padded,
    "getitem": _item,
    **dict.fromkeys(("chunk", "split", "split_with_sizes", "unbind", "tensor_split"), _listed),
    **dict.fromkeys(
        (
            "transpose", "permute", "movedim", "swapaxes", "swapdims", "slice", "select", "narrow",
            "index_select", "index", "flip", "roll", "repeat", "repeat_interleave", "tile",
            "expand", "expand_as", "broadcast_to", "tril", "triu", "rot90", "diagonal",
            "pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "native_channel_shuffle",
            "im2col", "unfold", "upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d",
            "_upsample_nearest_exact2d", "mT", "adjoint", "numpy_T",
        ),
        _moved,
    ),
}  # fmt: skip
