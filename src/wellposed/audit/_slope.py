"""The slope of a function of one variable, from differences, with the error of the slope."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import final

WINDOW = 3
"""So many consecutive orders within 0.1 of a number show that a remainder has it."""


@final
@dataclass(frozen=True)
class Slope:
    r"""Differences of a function at 0, and the best slope that they give.

    Args:
        middle: $\phi(0)$.
        steps: $h$, falling.
        ahead: $\phi(h)$, one per step.
        behind: $\phi(-h)$.
        noise: Standard deviation of the rounding in one value.
    """

    middle: float
    steps: tuple[float, ...]
    ahead: tuple[float, ...]
    behind: tuple[float, ...]
    noise: float

    @cached_property
    def _best(self) -> tuple[float, float, float]:
        """The slope, its error and its step, for the step where the error is least."""
        values = list(zip(self.steps, self.ahead, self.behind, strict=True))
        found = [(a - b) / (2 * h) for h, a, b in values]
        bent = [(a - 2 * self.middle + b) / h for h, a, b in values]
        best = (math.nan, math.inf, math.nan)
        for i in range(2, len(found)):
            last, one_before = abs(found[i] - found[i - 1]), abs(found[i - 1] - found[i - 2])
            ratio = self.steps[i] / self.steps[i - 1]
            kink = abs(bent[i] - ratio * bent[i - 1]) / (2 * (1 - ratio))
            error = max(last, one_before / 4) + kink + 4 * self.noise / self.steps[i]
            if error < best[1]:
                best = (found[i], error, self.steps[i])
        return best

    @property
    def value(self) -> float:
        r"""The central difference $(\phi(h) - \phi(-h)) / 2h$ at the best step."""
        return self._best[0]

    @property
    def error(self) -> float:
        """How far the value may be off: its change from the step before, kinks, and rounding.

        A kink within the step bends the function by as much at every step, where curvature bends
        it in proportion to the step; what is not in proportion is twice what a kink does to the
        central difference.
        """
        return self._best[1]

    def linear(self, claimed: float) -> bool:
        """Whether the remainder is of order 1 over the smallest steps that are not rounding."""
        last = [order for order in self.orders(claimed) if not math.isnan(order)][-WINDOW:]
        return bool(last) and all(abs(order - 1) <= 0.1 for order in last)

    @property
    def step(self) -> float:
        """The best step."""
        return self._best[2]

    def remainders(self, claimed: float) -> tuple[float, ...]:
        r"""$|\phi(h) - \phi(0) - h \phi'|$ for the slope that somebody claims, per step."""
        values = zip(self.steps, self.ahead, strict=True)
        return tuple(abs(a - self.middle - h * claimed) for h, a in values)

    def orders(self, claimed: float) -> tuple[float, ...]:
        """The order of the remainder from each step to the next; nan where it is rounding."""
        pairs = zip(pairwise(self.remainders(claimed)), pairwise(self.steps), strict=True)
        return tuple(
            math.log(large / small) / math.log(h / next_h)
            if small > 10 * self.noise and large > 0
            else math.nan
            for (large, small), (h, next_h) in pairs
        )

    def window(self, claimed: float) -> tuple[float, float] | None:
        """The largest steps over which the remainder is quadratic, as (first, last), or None."""
        run = 0
        found: tuple[float, float] | None = None
        for i, order in enumerate(self.orders(claimed)):
            run = run + 1 if abs(order - 2) <= 0.1 else 0
            if run >= WINDOW:
                found = (self.steps[i + 1 - run], self.steps[i + 1])
        return found


def slope(
    phi: Callable[[float], float],
    eps: float,
    exponents: Iterable[int] | None = None,
    grain: float = 0.0,
) -> Slope:
    r"""Differences of a function of one variable around 0, for steps $h = 2^{-k}$.

    The noise is that of More and Wild: fourth differences of values so close together that only
    rounding tells them apart have the standard deviation $\sqrt{70}$ times that of a value.
    Where all of them round to one value, these differences are 0 and say nothing, so that the noise
    is at least the grain.

    Cost: two evaluations per exponent, and nine.

    Args:
        phi: Scaled such that its argument 1 is a large change.
        eps: Relative rounding of the arithmetic it is computed in.
        exponents: k, ascending; by default 2 up to half of the digits.
        grain: Between two values that the arithmetic tells apart, at least 0.

    References:
        More and Wild, Estimating computational noise, 2011.
    """
    middle = phi(0.0)
    chosen = list(exponents or range(2, round(-math.log2(eps) / 2) + 1))
    steps = tuple(2.0**-k for k in chosen)
    close = [phi(j * eps * 2**14) if j else middle for j in range(-4, 5)]
    for _ in range(4):
        close = [b - a for a, b in pairwise(close)]
    spread = math.sqrt(sum(c * c for c in close) / len(close) / 70)
    return Slope(
        middle,
        steps,
        tuple(phi(h) for h in steps),
        tuple(phi(-h) for h in steps),
        max(spread, eps * abs(middle) / 4, grain, 1e-300),
    )
