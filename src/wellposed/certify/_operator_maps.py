"""Operators that are linear in one argument, read as what torch computes."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx

from wellposed.certify._mapping import Mapping, transposed
from wellposed.certify._operation import Dense, Shape
from wellposed.certify._read import Operator, Reader, arguments_of

_EVEN = 1e-9  # how closely a map of two examples agrees with that of each alone


def weighted(reader: Reader, node: fx.Node) -> None:
    """With constant weights, and perhaps a bias."""
    given = arguments_of(node)
    bias: dict[str, Any] = {"bias": None} if "bias" in given else {}
    function = reader.function(node, instead=bias)
    positive = reader.function(node, Tensor.abs, bias)
    ones = reader.function(node, torch.ones_like, bias)
    source = _only(reader, node)
    before, after = reader.operations[source].shape, reader.shape(node)
    one = torch.ones((1, *before), dtype=torch.float64)
    counted = _tried(reader, node, ones, one)
    if counted.shape != (1, *after):
        raise reader.refused(node, "which does not work on each example alone")
    terms = int(counted.max())
    back = int(transposed(ones, torch.ones((1, *after)).double(), before).max())
    offset = reader.tensor(given["bias"]) if bias else None
    if offset is not None:
        offset = offset.reshape(-1, *(1,) * (len(after) - 1))
    _keep(reader, node, source, function, positive, terms, back, offset)


def _added(reader: Reader, node: fx.Node) -> None:
    """A product of matrices and a constant summand."""
    given = arguments_of(node)
    if given["beta"] != 1 or given["alpha"] != 1 or reader.number(given["self"]) is not None:
        raise reader.refused(node, "with factors, or a summand that depends on the input")
    offset = reader.tensor(given["self"])
    assert offset is not None
    if reader.number(given["mat2"]) is not None:
        raise reader.refused(node, "with weights that depend on the input")
    matrix = reader.tensor(given["mat2"])
    assert matrix is not None
    source = reader.source(node, given["mat1"])
    reader.keep(node, Dense((source,), reader.shape(node), matrix.T, offset))


def pooled(reader: Reader, node: fx.Node) -> None:
    """Means of windows, of any kind."""
    source = _only(reader, node)
    before, after = reader.operations[source].shape, reader.shape(node)
    function = reader.function(node)
    sign = -1 if (arguments_of(node).get("divisor_override") or 1) < 0 else 1

    def positive(value: Tensor) -> Tensor:
        found: Tensor = sign * function(value)
        return found

    terms = _window(node, before, after)
    back = max(1, math.prod(before[1:]) + math.prod(after[1:]))
    _keep(reader, node, source, function, positive, terms, back, None)


def _window(node: fx.Node, before: Shape, after: Shape) -> int:
    given = arguments_of(node)
    if "kernel_size" in given:
        kernel = given["kernel_size"]
        sides = [kernel] if isinstance(kernel, int) else list(kernel)
        return int(math.prod(sides * (len(before) - 1 if len(sides) == 1 else 1)))
    return math.prod(-(-a // b) + 1 for a, b in zip(before[1:], after[1:], strict=True))


def _resized(reader: Reader, node: fx.Node) -> None:
    """Linear interpolation by a power of two, whose weights are exact in every format."""
    source = _only(reader, node)
    before, after = reader.operations[source].shape, reader.shape(node)
    ratios = [b / a for a, b in zip(before[1:], after[1:], strict=True)]
    factors = arguments_of(node).get("scale_factors") or ratios
    exact = all(math.frexp(ratio)[0] == 0.5 for ratio in ratios) and list(factors) == ratios
    if not exact or arguments_of(node)["align_corners"]:
        raise reader.refused(node, "by other factors than powers of two, or with aligned corners")
    function = reader.function(node)
    back = math.prod(2 * (math.ceil(ratio) + 1) for ratio in ratios)
    _keep(reader, node, source, function, function, 3 * 2 ** len(ratios), back, None)


def reduced(reader: Reader, node: fx.Node) -> None:
    """Sums and means over axes of one example."""
    source = _only(reader, node)
    before = reader.operations[source].shape
    given = arguments_of(node)
    axes = given.get("dim")
    axes = [axes] if isinstance(axes, int) else list(axes or ())
    places = sorted(axis % (len(before) + 1) for axis in axes)
    if not places or places[0] == 0 or given.get("dtype") is not None:
        raise reader.refused(node, "over the batch, or in another type")
    function = reader.function(node)
    terms = math.prod(before[place - 1] for place in places)
    _keep(reader, node, source, function, function, terms + 1, 1, None)


def _only(reader: Reader, node: fx.Node) -> int:
    sources = [number for argument in node.all_input_nodes
               if (number := reader.number(argument)) is not None]  # fmt: skip
    if len(sources) != 1:
        raise reader.refused(node, "of two values that depend on the input")
    return sources[0]


def _tried(
    reader: Reader, node: fx.Node, function: Callable[[Tensor], Any], value: Tensor
) -> Tensor:
    try:
        found: Tensor = function(value)
    except RuntimeError as error:
        raise reader.refused(node, "which does not work on each example alone") from error
    return found


def _keep(  # noqa: PLR0913 - what a mapping is made of
    reader: Reader, node: fx.Node, source: int, function: Callable[[Tensor], Tensor],
    positive: Callable[[Tensor], Tensor], terms: int, back: int, bias: Tensor | None,
) -> None:  # fmt: skip
    """Keep a mapping that treats every example alone."""
    before, after = reader.operations[source].shape, reader.shape(node)
    generator = torch.Generator().manual_seed(0)
    pair = torch.rand((2, *before), generator=generator, dtype=torch.float64)
    both = _tried(reader, node, function, pair)
    alone = torch.cat([_tried(reader, node, function, one[None]) for one in pair])
    if both.shape != (2, *after) or not torch.allclose(both, alone, _EVEN, _EVEN):
        raise reader.refused(node, "which does not work on each example alone")
    if not torch.allclose(_tried(reader, node, function, 2 * pair), 2 * both, _EVEN, _EVEN):
        raise reader.refused(node, "of two values that depend on the input")
    reader.keep(node, Mapping((source,), after, before, function, positive, bias, terms, back))


MAPS: dict[str, Operator] = {
    **dict.fromkeys(
        ("conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "einsum", "matmul",
         "mm", "bmm", "mv", "inner", "tensordot"),
        weighted,
    ),
    "addmm": _added,
    **dict.fromkeys(
        ("avg_pool1d", "avg_pool3d", "adaptive_avg_pool1d", "adaptive_avg_pool3d"), pooled
    ),
    **dict.fromkeys(("upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d"), _resized),
    "sum": reduced,
}  # fmt: skip
