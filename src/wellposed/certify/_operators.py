"""Each operator of an exported graph as one of our operations, or refused by its name."""

from typing import Any

import torch
from torch import Tensor, fx

from wellposed.certify._activation import LeakyReLU, Sigmoid, Tanh
from wellposed.certify._convolution import Convolution, average_pool
from wellposed.certify._max_pool import MaxPool
from wellposed.certify._operation import Concatenation, Dense, Reshape, Scale, Shape, Sum, count
from wellposed.certify._read import Operator, Reader, name_of

_ONE = torch.ones((), dtype=torch.float64)
_NONE = torch.zeros((), dtype=torch.float64)


def _arguments(node: fx.Node) -> dict[str, Any]:
    """All arguments by name, with defaults."""
    schema = node.target._schema  # type: ignore[union-attr]
    given = dict(zip((a.name for a in schema.arguments), node.args, strict=False))
    defaults = {a.name: a.default_value for a in schema.arguments}
    return {**defaults, **given, **node.kwargs}


def _pair(value: Any) -> tuple[int, int]:
    values = [value] if isinstance(value, int) else list(value)
    return (values[0], values[0]) if len(values) == 1 else (values[0], values[1])


def _source(reader: Reader, node: fx.Node, argument: Any) -> int:
    number = reader.number(argument)
    if number is None:
        raise reader.refused(node, "with a weight that depends on the input")
    return number


def _linear(reader: Reader, node: fx.Node) -> None:
    given = _arguments(node)
    if reader.number(given["weight"]) is not None or reader.number(given["bias"]) is not None:
        raise reader.refused(node, "with weights that depend on the input")
    weight = reader.tensor(given["weight"])
    assert weight is not None
    source = _source(reader, node, given["input"])
    operation = Dense((source,), reader.shape(node), weight, reader.tensor(given["bias"]))
    reader.keep(node, operation)


def _conv(reader: Reader, node: fx.Node) -> None:
    given = _arguments(node)
    source = _source(reader, node, given["input"])
    if reader.number(given["weight"]) is not None:
        raise reader.refused(node, "with weights that depend on the input")
    weight, bias = reader.tensor(given["weight"]), reader.tensor(given["bias"])
    assert weight is not None
    before, after = reader.operations[source].shape, reader.shape(node)
    flat = weight.dim() == 3
    geometry = [given[key] for key in ("stride", "padding", "dilation")]
    if isinstance(geometry[1], str):
        reach = [
            (k - 1) * d for k, d in zip(weight.shape[2:], _all(geometry[2], weight), strict=True)
        ]
        if geometry[1] == "same" and any(side % 2 for side in reach):
            raise reader.refused(node, "with more zeros on one side than on the other")
        geometry[1] = [side // 2 if geometry[1] == "same" else 0 for side in reach]
    if flat:
        pairs = [
            (rest, _all(value, weight)[0]) for value, rest in zip(geometry, (1, 0, 1), strict=True)
        ]
        weight = weight[:, :, None]
        source = reader.add(Reshape((source,), (before[0], 1, before[1]), before))
        inner: Shape = (after[0], 1, after[1])
    else:
        pairs, inner = [_pair(value) for value in geometry], after
    shape = reader.operations[source].shape
    stride, padding, dilation = pairs
    operation = Convolution(
        (source,), inner, weight, bias, shape, stride, padding, dilation, given["groups"]
    )
    if not flat:
        reader.keep(node, operation)
        return
    reader.keep(node, Reshape((reader.add(operation),), after, inner))


def _all(value: Any, weight: Tensor) -> list[int]:
    sides = weight.dim() - 2
    values = [value] if isinstance(value, int) else list(value)
    return values * sides if len(values) == 1 else values


def _batch_norm(reader: Reader, node: fx.Node) -> None:
    given = _arguments(node)
    mean, variance = reader.tensor(given["running_mean"]), reader.tensor(given["running_var"])
    if given["training"] or mean is None or variance is None:
        raise reader.refused(node, "which uses the statistics of the batch, even in eval mode")
    source = _source(reader, node, given["input"])
    weight, bias = reader.tensor(given["weight"]), reader.tensor(given["bias"])
    factor = (variance + given["eps"]).rsqrt() * (_ONE if weight is None else weight)
    offset = torch.zeros_like(mean) if bias is None else bias
    shape = reader.shape(node)
    rest = (-1, *(1 for _ in shape[1:]))
    shift, magnitude = offset - mean * factor, offset.abs() + (mean * factor).abs()
    reader.keep(
        node,
        Scale(
            (source,), shape, factor.reshape(rest), shift.reshape(rest), magnitude.reshape(rest), 8
        ),
    )


def _average(reader: Reader, node: fx.Node) -> None:
    given = _arguments(node)
    kernel, padding = _pair(given["kernel_size"]), _pair(given["padding"])
    stride = _pair(given["stride"]) if given["stride"] else kernel
    uneven = not given["count_include_pad"] and padding != (0, 0)
    if given["ceil_mode"] or given.get("divisor_override") or uneven:
        raise reader.refused(
            node, "with ceil_mode, divisor_override or count_include_pad=False under padding"
        )
    source = _source(reader, node, node.args[0])
    before = reader.operations[source].shape
    reader.keep(node, average_pool((source,), before, reader.shape(node), kernel, stride, padding))


def _adaptive(reader: Reader, node: fx.Node) -> None:
    source = _source(reader, node, node.args[0])
    before, after = reader.operations[source].shape, reader.shape(node)
    if any(big % small for big, small in zip(before[1:], after[1:], strict=True)):
        raise reader.refused(node, f"from {before[1:]} to {after[1:]}, where windows overlap")
    kernel = (before[1] // after[1], before[2] // after[2])
    reader.keep(node, average_pool((source,), before, after, kernel, kernel, (0, 0)))


def _mean(reader: Reader, node: fx.Node) -> None:
    given = _arguments(node)
    source = _source(reader, node, given["self"])
    before = reader.operations[source].shape
    axes = sorted(axis % (len(before) + 1) for axis in given["dim"] or ())
    if len(before) != 3 or axes != [2, 3]:
        raise reader.refused(node, "over other axes than height and width")
    kernel = before[1:]
    pool = average_pool((source,), before, (before[0], 1, 1), kernel, kernel, (0, 0))
    after = reader.shape(node)
    if after == pool.shape:
        reader.keep(node, pool)
    else:
        reader.keep(node, Reshape((reader.add(pool),), after, pool.shape))


def _max_pool(reader: Reader, node: fx.Node) -> None:
    given = _arguments(node)
    if given["ceil_mode"] or _pair(given["dilation"]) != (1, 1):
        raise reader.refused(node, "with ceil_mode or dilation")
    source = _source(reader, node, given["self"])
    kernel = _pair(given["kernel_size"])
    stride = _pair(given["stride"]) if given["stride"] else kernel
    before, after = reader.operations[source].shape, reader.shape(node)
    reader.keep(node, MaxPool((source,), after, before, kernel, stride, _pair(given["padding"])))


def _relu(reader: Reader, node: fx.Node) -> None:
    source = _source(reader, node, node.args[0])
    reader.keep(node, LeakyReLU((source,), reader.shape(node)))


def _leaky(reader: Reader, node: fx.Node) -> None:
    source = _source(reader, node, node.args[0])
    slope = float(_arguments(node)["negative_slope"])
    if not 0 <= slope <= 1:
        raise reader.refused(node, f"with a slope of {slope} outside [0, 1]")
    reader.keep(node, LeakyReLU((source,), reader.shape(node), slope))


def _tanh(reader: Reader, node: fx.Node) -> None:
    reader.keep(node, Tanh((_source(reader, node, node.args[0]),), reader.shape(node)))


def _sigmoid(reader: Reader, node: fx.Node) -> None:
    reader.keep(node, Sigmoid((_source(reader, node, node.args[0]),), reader.shape(node)))


def _reshape(reader: Reader, node: fx.Node) -> None:
    source = _source(reader, node, node.args[0])
    before, after = reader.operations[source].shape, reader.shape(node)
    if count(before) != count(after):
        raise reader.refused(node, f"from {before} to {after}")
    if before == after:
        reader.numbers[node] = source
    else:
        reader.keep(node, Reshape((source,), after, before))


def _concatenate(reader: Reader, node: fx.Node) -> None:
    given = _arguments(node)
    parts = [reader.number(part) for part in given["tensors"]]
    shape = reader.shape(node)
    if None in parts or given["dim"] % (len(shape) + 1) != 1 or len(shape) == 2:
        raise reader.refused(node, "along another axis than the channels, or with a constant")
    known = tuple(part for part in parts if part is not None)
    lengths = tuple(reader.operations[part].shape[0] for part in known)
    reader.keep(node, Concatenation(known, shape, lengths))


def _sum(reader: Reader, node: fx.Node) -> None:
    given = _arguments(node)
    sign = 1.0 if name_of(node).startswith("add") else -1.0
    alpha = sign * float(given["alpha"])
    if name_of(node) == "rsub":
        given["self"], given["other"] = given["other"], given["self"]
    first, second = reader.number(given["self"]), reader.number(given["other"])
    shape = reader.shape(node)
    if first is not None and second is not None:
        _same_shapes(reader, node, (first, second))
        reader.keep(node, Sum((first, second), shape, (1.0, alpha)))
    elif first is not None:
        constant = reader.tensor(given["other"])
        assert constant is not None
        _scale(reader, node, first, _ONE, alpha * constant)
    else:
        constant = reader.tensor(given["self"])
        assert constant is not None
        assert second is not None
        _scale(reader, node, second, alpha * _ONE, constant)


def _product(reader: Reader, node: fx.Node) -> None:
    given = _arguments(node)
    first, second = reader.number(given["self"]), reader.number(given["other"])
    if first is not None and second is not None:
        raise reader.refused(node, "of two values that depend on the input")
    quotient = name_of(node).startswith("div")
    if first is None and quotient:
        raise reader.refused(node, "by a value that depends on the input")
    if given.get("rounding_mode") is not None:
        raise reader.refused(node, "with rounding_mode")
    constant = reader.tensor(given["other"] if second is None else given["self"])
    source = first if second is None else second
    assert constant is not None
    assert source is not None
    _scale(reader, node, source, constant.reciprocal() if quotient else constant, _NONE)


def _dropout(reader: Reader, node: fx.Node) -> None:
    if _arguments(node)["train"]:
        raise reader.refused(node, "at random even in eval mode")
    reader.same(node)


def _negative(reader: Reader, node: fx.Node) -> None:
    _scale(reader, node, _source(reader, node, node.args[0]), -_ONE, _NONE)


def _scale(reader: Reader, node: fx.Node, source: int, factor: Tensor, shift: Tensor) -> None:
    shape = reader.shape(node)
    if reader.operations[source].shape != shape:
        raise reader.refused(node, "with a constant that makes the value larger")
    factor, shift = (_example(reader, node, part, shape) for part in (factor, shift))
    reader.keep(node, Scale((source,), shape, factor, shift, shift.abs(), 3))


def _example(reader: Reader, node: fx.Node, constant: Tensor, shape: Shape) -> Tensor:
    """A constant that broadcasts to one example, with all its axes."""
    if constant.dim() > len(shape):
        if constant.shape[0] != 1:
            raise reader.refused(node, "with a constant for each example of the batch")
        constant = constant[0]
    return constant.reshape((1,) * (len(shape) - constant.dim()) + tuple(constant.shape))


def _same_shapes(reader: Reader, node: fx.Node, sources: tuple[int, ...]) -> None:
    shape = reader.shape(node)
    if any(reader.operations[source].shape != shape for source in sources):
        raise reader.refused(node, "of values of different shapes")


OPERATORS: dict[str, Operator] = {
    "linear": _linear,
    "conv1d": _conv,
    "conv2d": _conv,
    "batch_norm": _batch_norm,
    "avg_pool2d": _average,
    "adaptive_avg_pool2d": _adaptive,
    "mean": _mean,
    "max_pool2d": _max_pool,
    "relu": _relu,
    "leaky_relu": _leaky,
    "tanh": _tanh,
    "sigmoid": _sigmoid,
    "flatten": _reshape,
    "view": _reshape,
    "reshape": _reshape,
    "_unsafe_view": _reshape,
    "squeeze": _reshape,
    "unsqueeze": _reshape,
    "cat": _concatenate,
    "concat": _concatenate,
    "add": _sum,
    "sub": _sum,
    "rsub": _sum,
    "mul": _product,
    "div": _product,
    "neg": _negative,
    "dropout": _dropout,
    "feature_dropout": _dropout,
    "clone": Reader.same,
    "contiguous": Reader.same,
    "detach": Reader.same,
    "alias": Reader.same,
    "identity": Reader.same,
}
