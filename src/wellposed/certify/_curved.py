r"""Activations of any shape whose second derivative is bounded: GELU, SiLU, hardswish and others.

On a piece of length h the function less a line is within $h^2 M / 8$ of the chord of its values at
the ends, with $|\varphi''| \le M$: so values at a grid, moved by that, enclose it, whatever its
shape.
"""

import math
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor

from wellposed.certify._activation import Activation, Lines
from wellposed.certify._arithmetic import Arithmetic

_CELLS = 16  # of each piece
_TOGETHER = 2**15  # values whose grids are held at a time
_SHORT = 1e-9  # of an interval, relative to its place: then a chord says nothing about the slope
_OURS = 1e-12  # what our own functions may be off, relative to 1 + |z|
_PROGRAM = 32  # roundings that a program's function may be off, relative to 1 + |z|


@dataclass(frozen=True, eq=False)
class Curved(Activation):
    """A function of each value alone, which may fall up to one point and rises from there on."""

    pieces: ClassVar[tuple[float, ...]] = (-8.0, -4.0, -2.0, 0.0, 2.0, 4.0, 8.0)
    """Where the grid begins anew; wherever the derivative jumps is among them."""
    dip: ClassVar[float] = -math.inf
    """Where the function is least."""
    stretch: ClassVar[float] = 1.0
    """Largest absolute derivative."""

    @property
    def size(self) -> float:
        """Of the terms of its formula, relative to 1 + |z|: of what rounding errors are parts."""
        return 1.0

    @property
    def contraction(self) -> float:
        """The largest absolute derivative."""
        return self.stretch

    @abstractmethod
    def derivative(self, value: Tensor) -> Tensor:
        """The derivative at an argument, which only has to be about right."""

    @abstractmethod
    def curvature(self, nearest: Tensor) -> Tensor:
        """A bound of the absolute second derivative.

        Args:
            nearest: Of a piece, its least absolute value.
        """

    def error(self, magnitude: Tensor, program: Arithmetic) -> Tensor:
        """Of a formula of some ten operations, each of which is off by little; and ours."""
        off = (_PROGRAM * program.unit + _OURS) * self.size
        return off * (1 + magnitude) + program.least

    def open(self, low: Tensor, high: Tensor) -> Tensor:
        """Where the interval is longer than rounding."""
        return high - low > 1e-6

    def range(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        """The least value is at the dip, if it is inside, and the largest at an end."""
        ends = self.apply(low), self.apply(high)
        least, most = torch.minimum(*ends), torch.maximum(*ends)
        if self.dip > -math.inf:
            at = self.apply(torch.full((), self.dip, dtype=low.dtype))
            least = torch.where((low < self.dip) & (high > self.dip), at, least)
        return least, most

    def slopes(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        """The chord, the tangent in the middle, or one that leaves an end and touches.

        Of each side the one that is nearest to the function in the middle.
        """
        flat = zip(low.flatten().split(_TOGETHER), high.flatten().split(_TOGETHER), strict=True)
        found = [self._slopes(*pair) for pair in flat]
        lower, upper = (torch.cat(side).reshape(low.shape) for side in zip(*found, strict=True))
        return lower, upper

    def lines(self, low: Tensor, high: Tensor, lower: Tensor, upper: Tensor) -> Lines:
        """Lines with these slopes that the grid proves."""
        least, most = torch.full_like(low, torch.inf), torch.full_like(low, -torch.inf)
        for z, value, rest in self._grid(low, high):
            least = torch.minimum(least, value - lower * z - rest)
            most = torch.maximum(most, value - upper * z + rest)
        own = _OURS * (1 + torch.maximum(low.abs(), high.abs()))
        return Lines(
            lower, least - own * (self.size + lower.abs()),
            upper, most + own * (self.size + upper.abs()),
        )  # fmt: skip

    def turning(self, slope: Tensor) -> tuple[Tensor, ...]:
        """None is needed."""
        del slope
        return ()

    def _grid(self, low: Tensor, high: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Arguments, values there, and how far the function may be off the chords beside them."""
        ends = [low, *(low.clamp(min=at).minimum(high) for at in self.pieces), high]
        for first, last in pairwise(ends):
            if not bool((last > first).any()):
                continue
            nearest = torch.where((first <= 0) & (last >= 0), 0.0, first.abs().minimum(last.abs()))
            step = (last - first) / _CELLS
            rest = self.curvature(nearest) * step.square() * ((1 + 1e-9) / 8)
            for k in range(_CELLS + 1):
                z = first + k * step if k < _CELLS else last
                yield z, self.apply(z), rest
        if bool((low == high).any()):
            yield low, self.apply(low), torch.zeros_like(low)

    def _slopes(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        middle, width = (low + high) / 2, (high - low).clamp(min=1e-300)
        start, end = self.apply(low), self.apply(high)
        tangent, chord = self.derivative(middle), (end - start) / width
        short = high - low < _SHORT * (1 + middle.abs())
        grid = list(self._grid(low, high))
        rises = [((z - low, v - start), (high - z, end - v)) for z, v, _ in grid]
        from_low = _extremes([pair[0] for pair in rises], width)
        to_high = _extremes([pair[1] for pair in rises], width)
        tried = torch.stack([chord, tangent, *from_low, *to_high])
        tried = torch.where(short, tangent, tried).clamp(-self.contraction, self.contraction)
        below, above = torch.full_like(tried, torch.inf), torch.full_like(tried, -torch.inf)
        for z, value, rest in grid:
            below = torch.minimum(below, value - tried * z - rest)
            above = torch.maximum(above, value - tried * z + rest)
        lowest = (below + tried * middle).argmax(0, keepdim=True)
        highest = (above + tried * middle).argmin(0, keepdim=True)
        return tried.gather(0, lowest)[0], tried.gather(0, highest)[0]


def _extremes(rises: list[tuple[Tensor, Tensor]], width: Tensor) -> tuple[Tensor, Tensor]:
    """Least and largest slope from one end to the points of the grid that are not next to it."""
    far = torch.stack([along > width / (4 * _CELLS) for along, _ in rises])
    slopes = torch.stack([up / along.clamp(min=1e-300) for along, up in rises])
    least = slopes.masked_fill(~far, torch.inf).amin(0)
    most = slopes.masked_fill(~far, -torch.inf).amax(0)
    return least.nan_to_num(posinf=0.0), most.nan_to_num(neginf=0.0)
