"""Clamping between two numbers: ReLU6, hardtanh, and hard sigmoid with a scale."""

from dataclasses import dataclass

import torch
from torch import Tensor

from wellposed.certify._activation import Activation
from wellposed.certify._arithmetic import Arithmetic


@dataclass(frozen=True, eq=False)
class Clip(Activation):
    """The nearest number of an interval.

    Args:
        least: Its lower end, finite.
        most: Its upper end, finite.
    """

    least: float
    most: float

    def apply(self, *values: Tensor) -> Tensor:
        """The function."""
        return values[0].clamp(self.least, self.most)

    def error(self, magnitude: Tensor, program: Arithmetic) -> Tensor:
        """None but of the ends, which the program has in its own format."""
        ends = max(abs(self.least), abs(self.most))
        return torch.full_like(magnitude, program.unit * ends)

    def open(self, low: Tensor, high: Tensor) -> Tensor:
        """Where an end lies inside."""
        below = (low < self.least) & (high > self.least)
        return below | ((low < self.most) & (high > self.most))

    def slopes(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        """Above from the lower end of the interval, below from the upper one, or flat or steep.

        The convex part alone is like ReLU, and the concave part like its mirror image; of the lines
        that touch, the one that leaves the smaller area is the one that is nearer in the middle.
        """
        width = (high - low).clamp(min=1e-300)
        start, end = self.apply(low), self.apply(high)
        rising = (self.most - start) / (self.most - low).clamp(min=1e-300)
        falling = (end - self.least) / (high - self.least).clamp(min=1e-300)
        chord = (end - start) / width
        rising = torch.where(high > self.most, rising, chord).clamp(0, 1)
        falling = torch.where(low < self.least, falling, chord).clamp(0, 1)
        one, none = torch.ones_like(low), torch.zeros_like(low)
        middle = (low + high) / 2
        below = [self.lines(low, high, a, a).lower_at + a * middle for a in (falling, one, none)]
        above = [self.lines(low, high, a, a).upper_at + a * middle for a in (rising, one, none)]
        lowest = torch.stack(below).argmax(0, keepdim=True)
        highest = torch.stack(above).argmin(0, keepdim=True)
        lower = torch.stack([falling, one, none]).gather(0, lowest)[0]
        upper = torch.stack([rising, one, none]).gather(0, highest)[0]
        return lower, upper

    def turning(self, slope: Tensor) -> tuple[Tensor, ...]:
        """The two ends."""
        return torch.full_like(slope, self.least), torch.full_like(slope, self.most)
