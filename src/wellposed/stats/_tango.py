"""An interval for the difference of two shares that were seen on the same cases."""

import math
from collections.abc import Callable

from scipy.optimize import brentq
from scipy.special import ndtri

from wellposed.errors import require
from wellposed.stats._base import Interval, require_level


def tango(only_a: int, only_b: int, n: int, level: float = 0.95) -> Interval:
    r"""Tango's score interval for the difference $p_a - p_b$ of two paired shares.

    The differences $\Delta$ that the score test does not reject:

    $$|n_a - n_b - n \Delta| \le z \sqrt{n (2 \tilde q + \Delta (1 - \Delta))}$$

    where $n_a$ and $n_b$ count the cases in which it happened to one side alone, and $\tilde q$ is
    the most likely probability of the latter given $\Delta$. 0 is outside exactly where McNemar's
    test $(n_a - n_b)^2 > z^2 (n_a + n_b)$ rejects equal shares. Cases on which both agree make the
    interval shorter, so that two classifiers are compared more sharply than from two shares apart.

    Args:
        only_a: Cases in which it happened to the first alone: it erred and the second did not.
        only_b: Cases in which it happened to the second alone.
        n: All cases, at least 1.
        level: Confidence, in (0, 1).

    Returns (low, high) within [-1, 1], and raises `ArgumentError` outside these ranges.

    References:
        Tango, Equivalence test and confidence interval for the difference in proportions for the
        paired-sample design, 1998; McNemar, Note on the sampling error of the difference between
        correlated proportions or percentages, 1947.
    """
    require_level(level)
    require(
        n >= 1 and min(only_a, only_b) >= 0 and only_a + only_b <= n,
        f"of n >= 1 cases at most n differ, got {only_a} and {only_b} of n={n}",
    )
    z = -float(ndtri((1 - level) / 2))

    def excess(delta: float) -> float:
        """The score at a difference; it falls as the difference grows."""
        q = _likely(only_a, only_b, n, delta)
        spread = math.sqrt(max(n * (2 * q + delta * (1 - delta)), 0.0))
        gap = only_a - only_b - n * delta
        if spread > 0:
            return gap / spread
        return math.copysign(math.inf, gap) if gap else 0.0

    center = (only_a - only_b) / n
    return (
        _crossing(lambda d: max(min(excess(d), 1e9), -1e9) - z, -1.0, center),
        _crossing(lambda d: max(min(excess(d), 1e9), -1e9) + z, center, 1.0),
    )


def _likely(only_a: int, only_b: int, n: int, delta: float) -> float:
    """The most likely probability that it happens to the second alone, given the difference."""
    b = (2 * n - only_a + only_b) * delta - only_a - only_b
    c = -only_b * delta * (1 - delta)
    return (math.sqrt(max(b * b - 8 * n * c, 0.0)) - b) / (4 * n)


def _crossing(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a decreasing function passes 0; the end that it does not reach otherwise."""
    if low == high or function(low) <= 0:
        return low
    if function(high) >= 0:
        return high
    return float(brentq(function, low, high, xtol=1e-12))
