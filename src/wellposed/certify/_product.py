r"""The product of two values that both depend on the input: gates.

With middles m and half lengths r of the two intervals, exactly

$$ xy = m_y x + m_x y - m_x m_y + (x - m_x)(y - m_y), \qquad |(x - m_x)(y - m_y)| \le r_x r_y, $$

the mean of the two planes on either side that are tight at two corners.

References:
    McCormick, Computability of global solutions to factorable nonconvex programs: part I, convex
    underestimating problems, Mathematical Programming 10, 1976 (the planes).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from wellposed.certify._arithmetic import DOUBLE, Arithmetic
from wellposed.certify._operation import Operation

_ROOM = 1 + 1e-9


@dataclass(frozen=True, eq=False)
class Product(Operation):
    """Two values of the same shape, multiplied place by place."""

    def apply(self, *values: Tensor) -> Tensor:
        """The product."""
        return values[0] * values[1]

    def error(self, reach: Tensor, program: Arithmetic) -> Tensor:
        """Of one rounding, of the program's and of ours.

        Args:
            reach: The largest absolute value of the product.
            program: Its arithmetic.
        """
        return 2 * (program.unit + DOUBLE.unit) * reach + program.least

    def range(self, lows: list[Tensor], highs: list[Tensor]) -> tuple[Tensor, Tensor]:
        """The extremes, which are at corners."""
        corners = torch.stack([x * y for x in (lows[0], highs[0]) for y in (lows[1], highs[1])])
        return corners.amin(0), corners.amax(0)

    def plane(self, lows: list[Tensor], highs: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Middles of the two values, and how far the product may be off the plane in between."""
        middles = [(low + high) / 2 for low, high in zip(lows, highs, strict=True)]
        halves = [
            torch.maximum(high - middle, middle - low) * _ROOM
            for low, high, middle in zip(lows, highs, middles, strict=True)
        ]
        return middles[0], middles[1], halves[0] * halves[1] * _ROOM
