"""Each operator of an exported graph as one of our operations, or refused by its name."""

from functools import partial
from typing import Any

import torch
from torch import Tensor, fx

from wellposed.certify._activation import Sigmoid
from wellposed.certify._convolution import Convolution
from wellposed.certify._curves import Square
from wellposed.certify._operation import Dense, Reshape, Scale, Shape, Sum
from wellposed.certify._operator_activations import ACTIVATIONS
from wellposed.certify._operator_copies import COPIES, copies, expanded
from wellposed.certify._operator_maps import MAPS, weighted
from wellposed.certify._operator_windows import WINDOWS, pair
from wellposed.certify._product import Product
from wellposed.certify._read import Operator, Reader, arguments_of, name_of

_ONE = torch.ones((), dtype=torch.float64)
_NONE = torch.zeros((), dtype=torch.float64)


def _linear(reader: Reader, node: fx.Node) -> None:
    given = arguments_of(node)
    if reader.number(given["weight"]) is not None or reader.number(given["bias"]) is not None:
        raise reader.refused(node, "with weights that depend on the input")
    weight = reader.tensor(given["weight"])
    assert weight is not None
    source = reader.source(node, given["input"])
    operation = Dense((source,), reader.shape(node), weight, reader.tensor(given["bias"]))
    reader.keep(node, operation)


def _conv(reader: Reader, node: fx.Node) -> None:
    given = arguments_of(node)
    source = reader.source(node, given["input"])
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
            weighted(reader, node)  # more zeros on one side than on the other
            return
        geometry[1] = [side // 2 if geometry[1] == "same" else 0 for side in reach]
    if flat:
        pairs = [
            (rest, _all(value, weight)[0]) for value, rest in zip(geometry, (1, 0, 1), strict=True)
        ]
        weight = weight[:, :, None]
        source = reader.add(Reshape((source,), (before[0], 1, before[1]), before))
        inner: Shape = (after[0], 1, after[1])
    else:
        pairs, inner = [pair(value) for value in geometry], after
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
    given = arguments_of(node)
    mean, variance = reader.tensor(given["running_mean"]), reader.tensor(given["running_var"])
    if given["training"] or mean is None or variance is None:
        raise reader.refused(node, "which uses the statistics of the batch, even in eval mode")
    source = reader.source(node, given["input"])
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


def _sum(reader: Reader, node: fx.Node) -> None:
    given = arguments_of(node)
    sign = 1.0 if name_of(node).startswith("add") else -1.0
    alpha = sign * float(given["alpha"])
    if name_of(node) == "rsub":
        given["self"], given["other"] = given["other"], given["self"]
    first, second = reader.number(given["self"]), reader.number(given["other"])
    shape = reader.shape(node)
    if first is not None and second is not None:
        pair = (expanded(reader, node, first), expanded(reader, node, second))
        reader.keep(node, Sum(pair, shape, (1.0, alpha)))
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
    given = arguments_of(node)
    first, second = reader.number(given["self"]), reader.number(given["other"])
    quotient = name_of(node).startswith("div")
    if first is not None and second is not None and not quotient:
        pair = (expanded(reader, node, first), expanded(reader, node, second))
        shape = reader.shape(node)
        same = pair[0] == pair[1]
        reader.keep(node, Square(pair[:1], shape) if same else Product(pair, shape))
        return
    if second is not None and quotient:
        raise reader.refused(node, "by a value that depends on the input")
    if given.get("rounding_mode") is not None:
        raise reader.refused(node, "with rounding_mode")
    constant = reader.tensor(given["other"] if second is None else given["self"])
    source = first if second is None else second
    assert constant is not None
    assert source is not None
    _scale(reader, node, source, constant.reciprocal() if quotient else constant, _NONE)


def _gated(reader: Reader, node: fx.Node) -> None:
    """One half times the sigmoid of the other."""
    axis, source = int(arguments_of(node)["dim"]), reader.source(node)

    def half(number: int, value: Tensor) -> Tensor:
        return value.chunk(2, axis)[number]

    halves = [reader.add(copies(reader, node, source, partial(half, k))) for k in (0, 1)]
    shape = reader.shape(node)
    gate = reader.add(Sigmoid((halves[1],), shape))
    reader.keep(node, Product((halves[0], gate), shape))


def _negative(reader: Reader, node: fx.Node) -> None:
    _scale(reader, node, reader.source(node), -_ONE, _NONE)


def _typed(reader: Reader, node: fx.Node) -> None:
    [before] = [argument for argument in node.all_input_nodes if argument in reader.numbers][:1]
    if node.meta["val"].dtype != before.meta["val"].dtype:
        raise reader.refused(node, f"to {node.meta['val'].dtype}")
    reader.same(node)


def _dropout(reader: Reader, node: fx.Node) -> None:
    if arguments_of(node)["train"]:
        raise reader.refused(node, "at random even in eval mode")
    reader.same(node)


def _scale(reader: Reader, node: fx.Node, source: int, factor: Tensor, shift: Tensor) -> None:
    shape = reader.shape(node)
    source = expanded(reader, node, source)
    factor, shift = (_example(reader, node, part, shape) for part in (factor, shift))
    reader.keep(node, Scale((source,), shape, factor, shift, shift.abs(), 3))


def _example(reader: Reader, node: fx.Node, constant: Tensor, shape: Shape) -> Tensor:
    """A constant that broadcasts to one example, with all its axes."""
    if constant.dim() > len(shape):
        if constant.shape[0] != 1:
            raise reader.refused(node, "with a constant for each example of the batch")
        constant = constant[0]
    return constant.reshape((1,) * (len(shape) - constant.dim()) + tuple(constant.shape))


OPERATORS: dict[str, Operator] = {
    **ACTIVATIONS,
    **COPIES,
    **MAPS,
    **WINDOWS,
    "linear": _linear,
    "conv1d": _conv,
    "conv2d": _conv,
    "batch_norm": _batch_norm,
    "add": _sum,
    "sub": _sum,
    "rsub": _sum,
    "mul": _product,
    "div": _product,
    "neg": _negative,
    "glu": _gated,
    "dropout": _dropout,
    "feature_dropout": _dropout,
    "alpha_dropout": _dropout,
    "feature_alpha_dropout": _dropout,
    "clone": Reader.same,
    "contiguous": Reader.same,
    "detach": Reader.same,
    "alias": Reader.same,
    "identity": Reader.same,
    "lift_fresh_copy": Reader.same,
    "to": _typed,
    "type_as": _typed,
    "_to_copy": _typed,
}
