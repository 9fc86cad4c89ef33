"""Operators that look at windows: means and largest values."""

from typing import Any

from torch import fx

from wellposed.certify._convolution import Pair, average_pool
from wellposed.certify._max_pool import MaxPool
from wellposed.certify._operation import Operation, Reshape, Shape, count
from wellposed.certify._operator_activations import larger
from wellposed.certify._operator_copies import copies
from wellposed.certify._operator_maps import pooled, reduced
from wellposed.certify._read import Operator, Reader, arguments_of


def pair(value: Any) -> Pair:
    """Rows and columns, from one number or two."""
    values = [value] if isinstance(value, int) else list(value)
    return (values[0], values[0]) if len(values) == 1 else (values[0], values[1])


def _average(reader: Reader, node: fx.Node) -> None:
    given = arguments_of(node)
    kernel, padding = pair(given["kernel_size"]), pair(given["padding"])
    stride = pair(given["stride"]) if given["stride"] else kernel
    uneven = not given["count_include_pad"] and padding != (0, 0)
    if given["ceil_mode"] or given.get("divisor_override") or uneven:
        pooled(reader, node)  # windows that are not all alike
        return
    source = reader.source(node, node.args[0])
    before = reader.operations[source].shape
    reader.keep(node, average_pool((source,), before, reader.shape(node), kernel, stride, padding))


def _adaptive(reader: Reader, node: fx.Node) -> None:
    source = reader.source(node, node.args[0])
    before, after = reader.operations[source].shape, reader.shape(node)
    if any(big % small for big, small in zip(before[1:], after[1:], strict=True)):
        pooled(reader, node)  # windows overlap
        return
    kernel = (before[1] // after[1], before[2] // after[2])
    reader.keep(node, average_pool((source,), before, after, kernel, kernel, (0, 0)))


def _mean(reader: Reader, node: fx.Node) -> None:
    given = arguments_of(node)
    source = reader.source(node, given["self"])
    before = reader.operations[source].shape
    axes = sorted(axis % (len(before) + 1) for axis in given.get("dim") or ())
    if len(before) != 3 or axes != [2, 3]:
        reduced(reader, node)
        return
    kernel = before[1:]
    pool = average_pool((source,), before, (before[0], 1, 1), kernel, kernel, (0, 0))
    _in_shape(reader, node, pool, reader.shape(node))


def _max_pool(reader: Reader, node: fx.Node) -> None:
    given = arguments_of(node)
    source = reader.source(node, given["self"])
    given["stride"] = given["stride"] or given["kernel_size"]
    keys = {"kernel_size": 1, "stride": 1, "padding": 0, "dilation": 1}
    if len(reader.operations[source].shape) == 2:  # a signal is an image of height 1
        sides: list[Pair] = [(rest, pair(given[key])[0]) for key, rest in keys.items()]
    else:
        sides = [pair(given[key]) for key in keys]
    _largest_of_windows(reader, node, source, sides, ceil=bool(given["ceil_mode"]))


def _adaptive_max(reader: Reader, node: fx.Node) -> None:
    source = reader.source(node)
    before, after = reader.operations[source].shape, reader.shape(node)
    if any(big % small for big, small in zip(before[1:], after[1:], strict=True)):
        raise reader.refused(node, f"from {before[1:]} to {after[1:]}, where windows overlap")
    sides = [big // small for big, small in zip(before[1:], after[1:], strict=True)]
    kernel = (1, sides[0]) if len(sides) == 1 else (sides[0], sides[1])
    _largest_of_windows(reader, node, source, [kernel, kernel, (0, 0), (1, 1)])


def _largest_of_windows(
    reader: Reader, node: fx.Node, source: int, sides: list[Pair], *, ceil: bool = False
) -> None:
    """Max pooling with these kernel, stride, padding and dilation."""
    before, after = reader.operations[source].shape, reader.shape(node)
    top = after
    if len(before) == 2:
        source = reader.add(Reshape((source,), (before[0], 1, before[1]), before))
        top = (after[0], 1, after[1])
    shape = reader.operations[source].shape
    kernel, stride, padding, dilation = sides
    pool = MaxPool((source,), top, shape, kernel, stride, padding, dilation, ceil)
    _in_shape(reader, node, pool, after)


def _largest(reader: Reader, node: fx.Node) -> None:
    """Over some axes: they are put last, as the width of an image that is one window."""
    given = arguments_of(node)
    source, axes = reader.source(node), given.get("dim")
    before, after = reader.operations[source].shape, reader.shape(node)
    axes = [axes] if isinstance(axes, int) else list(axes or ())
    places = sorted(axis % (len(before) + 1) for axis in axes)
    if not places or places[0] == 0:
        raise reader.refused(node, "over the batch")
    rest = [axis for axis in range(1, len(before) + 1) if axis not in places]
    moved = copies(reader, node, source, lambda value: value.permute(0, *rest, *places))
    kernel = (1, count(moved.shape[len(rest) :]))
    image = (count(moved.shape[: len(rest)]), *kernel)
    source = reader.add(Reshape((reader.add(moved),), image, moved.shape))
    pool = MaxPool((source,), (image[0], 1, 1), image, kernel, kernel, (0, 0))
    _in_shape(reader, node, pool, after)


def _most(reader: Reader, node: fx.Node) -> None:
    """The larger of two values, or the largest along an axis."""
    if "dim" in arguments_of(node):
        _largest(reader, node)
    else:
        larger(reader, node)


def _in_shape(reader: Reader, node: fx.Node, operation: Operation, shape: Shape) -> None:
    if operation.shape == shape:
        reader.keep(node, operation)
    else:
        reader.keep(node, Reshape((reader.add(operation),), shape, operation.shape))


WINDOWS: dict[str, Operator] = {
    "avg_pool2d": _average,
    "adaptive_avg_pool2d": _adaptive,
    "mean": _mean,
    "max_pool1d": _max_pool,
    "max_pool2d": _max_pool,
    "adaptive_max_pool1d": _adaptive_max,
    "adaptive_max_pool2d": _adaptive_max,
    "amax": _largest,
    "max": _most,
}
