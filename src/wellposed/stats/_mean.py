"""Intervals for a mean of few numbers, such as test errors over seeds."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy.special import stdtrit

from wellposed.errors import require
from wellposed.stats._base import Interval, require_level

Values = Sequence[float] | Float[np.ndarray, " n"]


def mean_interval(values: Values, level: float = 0.95) -> Interval:
    r"""Student's interval for the mean, $\bar x \pm t_{n-1} s / \sqrt n$.

    Exact for normal values; for others its coverage comes near the level as n grows.

    Args:
        values: At least two finite numbers, drawn independently.
        level: Confidence, in (0, 1).

    Returns (low, high), and raises `ArgumentError` outside these ranges.

    References:
        Student, The probable error of a mean, 1908.
    """
    require_level(level)
    x = np.asarray(values, dtype=np.float64)
    require(
        x.ndim == 1 and len(x) >= 2,
        f"an interval for a mean needs at least 2 values in a row, got shape {x.shape}; "
        "run more seeds",
    )
    wrong = int((~np.isfinite(x)).sum())
    require(
        not wrong, f"an interval for a mean needs finite values, and {wrong} of {len(x)} are not"
    )
    half = float(stdtrit(len(x) - 1, (1 + level) / 2) * x.std(ddof=1) / np.sqrt(len(x)))
    mean = float(x.mean())
    return mean - half, mean + half


def paired_difference(a: Values, b: Values, level: float = 0.95) -> Interval:
    r"""Student's interval for the mean of $a_i - b_i$, where both come from the same seed i.

    What a seed does to both (its split, its initial weights) cancels, so that this is shorter
    than comparing two separate intervals; 0 inside means that these seeds decide nothing.

    Args:
        a: At least two finite numbers.
        b: As many, in the same order.
        level: Confidence, in (0, 1).

    Returns (low, high), and raises `ArgumentError` outside these ranges.

    References:
        Student, The probable error of a mean, 1908, section IX.
    """
    require(
        len(a) == len(b),
        f"a paired difference needs as many values on both sides, got {len(a)} and {len(b)}; "
        "run both with the same seeds",
    )
    return mean_interval(np.subtract(a, b, dtype=np.float64), level)
