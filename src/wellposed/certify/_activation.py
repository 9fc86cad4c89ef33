r"""Activations, and the two lines between which each lies over an interval.

$$ a_- z + b_- \le \varphi(z) \le a_+ z + b_+ \quad \text{for } l \le z \le u. $$

Any slope is sound with the right intercept; the slopes are those of Zhang et al. (2018), and the
intercepts are the extremes of $\varphi(z) - a z$ over the interval, at its ends and where the
derivative vanishes.

References:
    Zhang, Weng, Chen, Hsieh and Daniel, Efficient neural network robustness certification with
    general activation functions, 2018, arXiv:1811.00866.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from wellposed.certify._arithmetic import DOUBLE, Arithmetic
from wellposed.certify._operation import Operation

_HALVINGS = 40  # of the interval in which a tangent point is looked for
_ELEMENTARY = 8  # roundings that a program's tanh or sigmoid may be off, relative to 1
_OURS = 1e-12  # what our own tanh, logarithm and root may be off, relative to 1


@final
@dataclass(frozen=True, slots=True)
class Lines:
    """Lines below and above an activation; one number of each for every value.

    Args:
        lower: Slope of the line below.
        lower_at: Its intercept.
        upper: Slope of the line above.
        upper_at: Its intercept.
    """

    lower: Tensor
    lower_at: Tensor
    upper: Tensor
    upper_at: Tensor


@dataclass(frozen=True, eq=False)
class Activation(Operation):
    """A function of each value alone."""

    def range(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        """Least and largest value over an interval: at the ends, unless the function decreases."""
        return self.apply(low), self.apply(high)

    @property
    def contraction(self) -> float:
        """Its Lipschitz constant."""
        return 1.0

    @abstractmethod
    def error(self, magnitude: Tensor, program: Arithmetic) -> Tensor:
        """How far the program's value, and ours, may be off, for arguments up to this magnitude."""

    @abstractmethod
    def open(self, low: Tensor, high: Tensor) -> Tensor:
        """Where tighter bounds of the argument would give tighter lines."""

    @abstractmethod
    def slopes(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        """Slopes of the lines below and above."""

    @abstractmethod
    def turning(self, slope: Tensor) -> tuple[Tensor, ...]:
        """Where the derivative equals the slope, as far as it does; else any number."""

    def lines(self, low: Tensor, high: Tensor, lower: Tensor, upper: Tensor) -> Lines:
        """The best lines with these slopes."""
        return Lines(
            lower, self._excess(low, high, lower).amin(0), upper,
            self._excess(low, high, upper).amax(0),
        )  # fmt: skip

    def _excess(self, low: Tensor, high: Tensor, slope: Tensor) -> Tensor:
        """The values of the function minus slope times z among which its extremes are."""
        points = [low, high, *(z.clamp(low, high) for z in self.turning(slope))]
        return torch.stack([self.apply(z) - slope * z for z in points])


@dataclass(frozen=True, eq=False)
class LeakyReLU(Activation):
    """max(z, 0) + slope min(z, 0), and ReLU with slope 0.

    Args:
        slope: For negative arguments, in [0, 1].
    """

    slope: float = 0.0

    def apply(self, *values: Tensor) -> Tensor:
        """The function."""
        [value] = values
        if not self.slope:
            return value.clamp(min=0)
        return torch.where(value > 0, value, self.slope * value)

    def error(self, magnitude: Tensor, program: Arithmetic) -> Tensor:
        """Of two roundings: of the slope and of the product; and of our own product."""
        if not self.slope:
            return torch.zeros_like(magnitude)
        return 2 * (program.unit + DOUBLE.unit) * self.slope * magnitude + program.least

    def open(self, low: Tensor, high: Tensor) -> Tensor:
        """Where both signs are possible."""
        return (low < 0) & (high > 0)

    def slopes(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        """Above the chord; below the piece that leaves the smaller area."""
        steep = (high > -low).to(low)
        lower = torch.full_like(low, self.slope).masked_fill(low >= 0, 1.0)
        mixed = self.open(low, high)
        lower = torch.where(mixed, self.slope + (1 - self.slope) * steep, lower)
        chord = (high - self.slope * low) / torch.where(mixed, high - low, 1.0)
        return lower, torch.where(mixed, chord, lower)

    def turning(self, slope: Tensor) -> tuple[Tensor, ...]:
        """The kink, which is an extreme for every slope between."""
        return (torch.zeros_like(slope),)


@dataclass(frozen=True, eq=False)
class Saturating(Activation):
    """Convex below 0, concave above it, odd about the value at 0: tanh and sigmoid."""

    @abstractmethod
    def derivative(self, value: Tensor) -> Tensor:
        """The derivative at an argument."""

    def error(self, magnitude: Tensor, program: Arithmetic) -> Tensor:
        """That of a good library, with room; and of ours."""
        return torch.full_like(magnitude, _ELEMENTARY * program.unit + program.least + _OURS)

    def open(self, low: Tensor, high: Tensor) -> Tensor:
        """Where the interval is longer than rounding."""
        return high - low > 1e-6

    def lines(self, low: Tensor, high: Tensor, lower: Tensor, upper: Tensor) -> Lines:
        """The best lines, moved apart by what the library's functions may be off."""
        best = super().lines(low, high, lower, upper)
        reach = torch.maximum(low.abs(), high.abs())
        return Lines(
            lower, best.lower_at - _OURS * (1 + lower.abs() * reach),
            upper, best.upper_at + _OURS * (1 + upper.abs() * reach),
        )  # fmt: skip

    def slopes(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        """Tangents where they stay on their side, from an end of the interval; else the chord."""
        middle = (low + high) / 2
        width = torch.where(high > low, high - low, 1.0)
        chord = (self.apply(high) - self.apply(low)) / width
        chord = torch.where(high > low, chord, self.derivative(middle)).clamp(min=0)
        tangent = self.derivative(middle)
        above = torch.where(low >= 0, tangent, chord)
        below = torch.where(high <= 0, tangent, chord)
        mixed = (low < 0) & (high > 0)
        touch_above, meets_above = self._touching(low, high)
        touch_below, meets_below = self._touching(-high, -low)
        above = torch.where(mixed & meets_above, touch_above, above)
        below = torch.where(mixed & meets_below, touch_below, below)
        return below, above

    def _touching(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        """Slope of the tangent that leaves from the lower end and touches above 0.

        And whether it touches before the upper end. Both functions are odd about their value at 0,
        so that the mirrored interval gives the tangent from the upper end.
        """
        at = self.apply(low)
        start, end = torch.zeros_like(low), high
        for _ in range(_HALVINGS):
            middle = (start + end) / 2
            over = at + self.derivative(middle) * (middle - low) > self.apply(middle)
            start, end = torch.where(over, middle, start), torch.where(over, end, middle)
        meets = at + self.derivative(high) * (high - low) <= self.apply(high)
        return self.derivative(end), meets


@dataclass(frozen=True, eq=False)
class Tanh(Saturating):
    """The hyperbolic tangent."""

    def apply(self, *values: Tensor) -> Tensor:
        """The function."""
        return values[0].tanh()

    def derivative(self, value: Tensor) -> Tensor:
        """One minus the square of the function."""
        return 1 - value.tanh().square()

    def turning(self, slope: Tensor) -> tuple[Tensor, ...]:
        """Where one minus the square is the slope."""
        point = torch.atanh((1 - slope.clamp(1e-300, 1)).clamp(0, 1).sqrt()).clamp(max=50.0)
        return point, -point


@dataclass(frozen=True, eq=False)
class Sigmoid(Saturating):
    """The logistic function, 1/2 + tanh(z / 2) / 2."""

    @property
    def contraction(self) -> float:
        """1/4."""
        return 0.25

    def apply(self, *values: Tensor) -> Tensor:
        """The function."""
        return values[0].sigmoid()

    def derivative(self, value: Tensor) -> Tensor:
        """The function times one minus it."""
        return value.sigmoid() * (-value).sigmoid()

    def turning(self, slope: Tensor) -> tuple[Tensor, ...]:
        """Where a quarter of one minus the square of tanh(z / 2) is the slope."""
        point = torch.atanh((1 - 4 * slope.clamp(1e-300, 0.25)).clamp(0, 1).sqrt()).clamp(max=50.0)
        return 2 * point, -2 * point
