"""Operators that act on each value alone, and comparisons of two."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, fx

from wellposed.certify._activation import LeakyReLU, Sigmoid, Tanh
from wellposed.certify._clip import Clip
from wellposed.certify._curves import (
    ELU,
    GELU,
    GELUTanh,
    HardSwish,
    Mish,
    SiLU,
    Softplus,
    Square,
)
from wellposed.certify._operation import Operation, Scale, Shape, Sum
from wellposed.certify._read import Operator, Reader, arguments_of, name_of

_ALPHA, _SCALE = 1.6732632423543772, 1.0507009873554805  # of SELU
_THRESHOLD = 15  # of softplus: e^-15 is what torch leaves out there

Plain = Callable[[tuple[int, ...], Shape], Operation]


def _plain(operation: Plain, reader: Reader, node: fx.Node) -> None:
    reader.keep(node, operation((reader.source(node),), reader.shape(node)))


def _leaky(reader: Reader, node: fx.Node) -> None:
    _bent(reader, node, float(arguments_of(node)["negative_slope"]))


def _random_leaky(reader: Reader, node: fx.Node) -> None:
    given = arguments_of(node)
    if given["training"]:
        raise reader.refused(node, "at random even in eval mode")
    _bent(reader, node, (float(given["lower"]) + float(given["upper"])) / 2)


def _bent(reader: Reader, node: fx.Node, slope: float) -> None:
    source, shape = reader.source(node), reader.shape(node)
    if 0 <= slope <= 1:
        reader.keep(node, LeakyReLU((source,), shape, slope))
    else:
        _parametric(reader, node, torch.tensor(slope, dtype=torch.float64))


def _prelu(reader: Reader, node: fx.Node) -> None:
    slope = reader.tensor(arguments_of(node)["weight"])
    assert slope is not None
    if slope.numel() == 1 and 0 <= float(slope) <= 1:
        _bent(reader, node, float(slope))
        return
    rest = len(reader.shape(node)) - 1
    _parametric(reader, node, slope.reshape(-1, *(1,) * rest) if slope.numel() > 1 else slope[0])


def _parametric(reader: Reader, node: fx.Node, slope: Tensor) -> None:
    """Slope times z, and 1 - slope times its positive part."""
    source, shape = reader.source(node), reader.shape(node)
    positive = reader.add(LeakyReLU((source,), shape))
    steep = reader.add(_scaled(positive, shape, 1 - slope))
    reader.keep(node, Sum((reader.add(_scaled(source, shape, slope)), steep), shape, (1.0, 1.0)))


def _absolute(reader: Reader, node: fx.Node) -> None:
    source, shape = reader.source(node), reader.shape(node)
    positive = reader.add(LeakyReLU((source,), shape))
    reader.keep(node, Sum((positive, source), shape, (2.0, -1.0)))


def _clamp(reader: Reader, node: fx.Node) -> None:
    given = arguments_of(node)
    low = given.get("min", given.get("min_val"))
    high = given.get("max", given.get("max_val"))
    ends = [0.0, 6.0] if name_of(node).startswith("relu6") else [low, high]
    if any(isinstance(end, fx.Node) for end in ends):
        raise reader.refused(node, "with tensors as limits")
    source, shape = reader.source(node), reader.shape(node)
    low, high = (None if end is None else float(end) for end in ends)
    if low is not None and high is not None:
        reader.keep(node, Clip((source,), shape, min(low, high), high))
        return
    # min(z, M) = M - max(M - z, 0), and the like
    sign, end = (1.0, low) if low is not None else (-1.0, high)
    assert end is not None
    moved = reader.add(_scaled(source, shape, sign, -sign * end))
    reader.keep(node, _scaled(reader.add(LeakyReLU((moved,), shape)), shape, sign, end))


def _hard_sigmoid(reader: Reader, node: fx.Node) -> None:
    source, shape = reader.source(node), reader.shape(node)
    moved = reader.add(_scaled(source, shape, 1.0, 3.0))
    reader.keep(node, _scaled(reader.add(Clip((moved,), shape, 0.0, 6.0)), shape, 1 / 6))


def larger(reader: Reader, node: fx.Node) -> None:
    """max(x, y) = y + max(x - y, 0), and min(x, y) = x - max(x - y, 0)."""
    given = arguments_of(node)
    first, second = reader.number(given["self"]), reader.number(given["other"])
    shape = reader.shape(node)
    if first is None or second is None:
        raise reader.refused(node, "with a constant")
    if any(reader.operations[source].shape != shape for source in (first, second)):
        raise reader.refused(node, "of values of different shapes")
    apart = reader.add(Sum((first, second), shape, (1.0, -1.0)))
    more = reader.add(LeakyReLU((apart,), shape))
    least = name_of(node).startswith("min")
    pair = (first, more) if least else (second, more)
    reader.keep(node, Sum(pair, shape, (1.0, -1.0 if least else 1.0)))


def _gelu(reader: Reader, node: fx.Node) -> None:
    rough = arguments_of(node)["approximate"] == "tanh"
    _plain(GELUTanh if rough else GELU, reader, node)


def _softplus(reader: Reader, node: fx.Node) -> None:
    given = arguments_of(node)
    beta, threshold = float(given["beta"]), float(given["threshold"])
    if beta <= 0 or threshold < _THRESHOLD:
        raise reader.refused(node, f"with beta <= 0 or a threshold below {_THRESHOLD}")
    _plain(partial(Softplus, beta=beta, threshold=threshold), reader, node)


def _elu(reader: Reader, node: fx.Node) -> None:
    given, name = arguments_of(node), name_of(node)
    if name.startswith("selu"):
        alpha, scale, rate = _ALPHA, _SCALE, 1.0
    elif name.startswith("celu"):
        alpha, scale, rate = float(given["alpha"]), 1.0, 1 / float(given["alpha"])
    else:
        alpha, scale, rate = (float(given[key]) for key in ("alpha", "scale", "input_scale"))
    if min(alpha, scale, rate) <= 0:
        raise reader.refused(node, "with a factor that is not positive")
    _plain(partial(ELU, alpha=alpha, scale=scale, rate=rate), reader, node)


def _power(reader: Reader, node: fx.Node) -> None:
    exponent = arguments_of(node)["exponent"] if name_of(node).startswith("pow") else 2
    if exponent == 1:
        reader.same(node)
    elif exponent == 2:
        _plain(Square, reader, node)
    else:
        raise reader.refused(node, f"to the power {exponent}, which has no bounds here")


def _scaled(source: int, shape: Shape, factor: float | Tensor, shift: float = 0.0) -> Scale:
    """Factor times value plus a number."""
    factor = torch.as_tensor(factor, dtype=torch.float64)
    factor = factor.reshape((1,) * (len(shape) - factor.dim()) + tuple(factor.shape))
    offset = torch.full((1,) * len(shape), shift, dtype=torch.float64)
    return Scale((source,), shape, factor, offset, offset.abs(), 3)


ACTIVATIONS: dict[str, Operator] = {
    "relu": partial(_plain, LeakyReLU),
    "leaky_relu": _leaky,
    "rrelu": _random_leaky,
    "prelu": _prelu,
    "abs": _absolute,
    "clamp": _clamp,
    "clamp_min": _clamp,
    "clamp_max": _clamp,
    "hardtanh": _clamp,
    "relu6": _clamp,
    "hardsigmoid": _hard_sigmoid,
    "hardswish": partial(_plain, HardSwish),
    "tanh": partial(_plain, Tanh),
    "sigmoid": partial(_plain, Sigmoid),
    "silu": partial(_plain, SiLU),
    "gelu": _gelu,
    "mish": partial(_plain, Mish),
    "softplus": _softplus,
    "elu": _elu,
    "celu": _elu,
    "selu": _elu,
    "square": _power,
    "pow": _power,
    "maximum": larger,
    "minimum": larger,
}
