r"""Interval bounds of every value of a network, rounding included.

An affine operation is $v = Ah + b + e$ with $|e| \le E$: the error e of the program that runs is
treated as one more unknown, so that whatever is proven holds for the program in any order of
summation, and for exact arithmetic, which is e = 0.

References:
    Gowal et al., On the effectiveness of interval bound propagation for training verifiably robust
    models, 2018, arXiv:1810.12715.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor

from wellposed.certify._activation import Activation
from wellposed.certify._arithmetic import DOUBLE, Arithmetic
from wellposed.certify._copies import Copies
from wellposed.certify._graph import Graph
from wellposed.certify._max_pool import MaxPool
from wellposed.certify._operation import Affine, Concatenation, Input, Reshape, count
from wellposed.certify._product import Product
from wellposed.certify._region import Region

_ROOM = 1 + 1e-9  # for the roundings of the error bounds themselves
_INSIDE = 16  # times a value, at most, are numbers that the program makes on the way to it


@final
@dataclass(eq=False)
class Bounds:
    """Lower and upper bounds of the values of a network over regions; float64, batch first.

    Args:
        graph: The network.
        region: Of each example.
        program: The arithmetic in which the network runs.
    """

    graph: Graph
    region: Region
    program: Arithmetic
    low: dict[int, Tensor] = field(default_factory=dict)
    high: dict[int, Tensor] = field(default_factory=dict)
    magnitude: dict[int, Tensor] = field(default_factory=dict)
    """Of affine operations: |A| |h| + |b|, from which errors are computed."""

    def error(self, number: int) -> Tensor:
        """What rounding changes in an affine value: of the program, and of our own sums."""
        operation = self.graph.operations[number]
        assert isinstance(operation, Affine)
        magnitude = self.magnitude[number]
        if isinstance(operation, (Reshape, Concatenation)):
            return torch.zeros_like(magnitude)
        ours = 3 * DOUBLE.gamma(operation.roundings + operation.fan + 8)
        program = self.program.gamma(operation.roundings)  # 0 for copies
        error = (program + ours) * magnitude + operation.roundings * self.program.least
        size = operation.size()
        if size is not None:
            error = error + DOUBLE.gamma(count(operation.shape) + 8) * size
        return error * _ROOM

    def reach(self, number: int) -> Tensor:
        """The largest absolute value."""
        return torch.maximum(self.low[number].abs(), self.high[number].abs())

    def fits(self) -> Tensor:
        """Of which examples no value, nor any part of a sum, can overflow in the program."""
        sides = (*self.low.values(), *self.high.values(), *self.magnitude.values())
        fits = torch.ones(len(self.region.center), dtype=torch.bool)
        for side in sides:
            small = side.abs() < self.program.most / _INSIDE
            fits &= small.reshape(len(side), count(tuple(side.shape[1:]))).all(1)
        return fits

    def select(self, images: Tensor) -> "Bounds":
        """Those of some of the examples."""
        parts = (
            {number: side[images] for number, side in sides.items()}
            for sides in (self.low, self.high, self.magnitude)
        )
        return Bounds(self.graph, self.region.select(images), self.program, *parts)

    def intersect(self, number: int, low: Tensor, high: Tensor) -> None:
        """Take better bounds where there are any."""
        self.low[number] = torch.maximum(self.low[number], low)
        self.high[number] = torch.minimum(self.high[number], high)


def enclose(
    graph: Graph,
    region: Region,
    program: Arithmetic,
    tighten: Callable[[Bounds, int], None] | None = None,
) -> Bounds:
    """Interval bounds, from the input to the output.

    Args:
        graph: The network.
        region: Of each example.
        program: The arithmetic in which the network runs.
        tighten: Called after each value that enters a bend, to improve its bounds.

    Cost: three forward passes of each affine operation, in float64.
    """
    bounds = Bounds(graph, region, program)
    bounds.low[0], bounds.high[0] = region.low, region.high
    for number in range(1, len(graph.operations)):
        _step(bounds, number)
        if tighten is not None and graph.bends(number):
            tighten(bounds, number)
    return bounds


def _step(bounds: Bounds, number: int) -> None:
    operation = bounds.graph.operations[number]
    lows = [bounds.low[source] for source in operation.inputs]
    highs = [bounds.high[source] for source in operation.inputs]
    if isinstance(operation, (MaxPool, Reshape, Concatenation)):
        bounds.low[number], bounds.high[number] = operation.apply(*lows), operation.apply(*highs)
        bounds.magnitude[number] = torch.zeros_like(bounds.low[number])
    elif isinstance(operation, Activation):
        error = operation.error(bounds.reach(operation.inputs[0]), bounds.program)
        low, high = operation.range(lows[0], highs[0])
        bounds.low[number], bounds.high[number] = low - error, high + error
    elif isinstance(operation, Product):
        low, high = operation.range(lows, highs)
        error = operation.error(torch.maximum(low.abs(), high.abs()), bounds.program)
        bounds.low[number], bounds.high[number] = low - error, high + error
    elif isinstance(operation, Copies):
        bounds.low[number], bounds.high[number] = operation.apply(*lows), operation.apply(*highs)
        reach = bounds.reach(operation.inputs[0])
        bounds.magnitude[number] = operation.apply(reach)
    elif isinstance(operation, Affine):
        _affine(bounds, number, operation, lows, highs)
    else:
        assert not isinstance(operation, Input)


def _affine(
    bounds: Bounds, number: int, operation: Affine, lows: list[Tensor], highs: list[Tensor]
) -> None:
    pairs = list(zip(lows, highs, strict=True))
    middles = [(low + high) / 2 for low, high in pairs]
    # Halving and adding round: the interval around the rounded middle is made to reach both ends.
    halves = [
        torch.maximum(high - middle, middle - low) * _ROOM
        for (low, high), middle in zip(pairs, middles, strict=True)
    ]
    reach = [bounds.reach(source) for source in operation.inputs]
    magnitude = operation.absolute(*reach)
    size = operation.size()
    bounds.magnitude[number] = magnitude if size is None else magnitude + size
    error = bounds.error(number)
    middle, half = operation.apply(*middles), operation.absolute(*halves)
    bounds.low[number] = middle - half - error
    bounds.high[number] = middle + half + error
