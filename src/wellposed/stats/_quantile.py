"""An interval for a quantile, from the order of the values alone."""

import numpy as np
from jaxtyping import Float
from scipy.stats import binom

from wellposed.errors import require
from wellposed.stats._base import Interval, require_level


def quantile_interval(
    values: Float[np.ndarray, " n"], share: float = 0.5, level: float = 0.95
) -> Interval:
    r"""The exact interval for a quantile, between two of the sorted values.

    The number of values below the quantile is binomial whatever their distribution, so that
    $[x_{(l)}, x_{(u)}]$ covers it at least at the level if both tails of that binomial
    distribution are cut at (1 - level)/2; where too few values are there, an end is infinite.

    Args:
        values: At least one number, drawn independently.
        share: Which quantile, in (0, 1): 0.5 for the median.
        level: Confidence, in (0, 1).

    Returns (low, high), and raises `ArgumentError` outside these ranges.

    References:
        Thompson, On confidence ranges for the median and other expectation distributions, 1936.
    """
    require_level(level)
    require(0 < share < 1, f"a quantile is of a share between 0 and 1, got share={share:g}")
    x = np.sort(np.asarray(values, dtype=np.float64))
    n = len(x)
    require(x.ndim == 1 and n >= 1, f"a quantile needs values in a row, got shape {x.shape}")
    tail = (1 - level) / 2
    # x[l - 1] <= quantile unless fewer than l values lie below it
    below = int(binom.ppf(tail, n, share))
    below -= int(binom.cdf(below - 1, n, share) > tail)
    above = int(binom.isf(tail, n, share)) + 1
    low = x[below - 1] if below >= 1 else -np.inf
    high = x[above - 1] if above <= n else np.inf
    return float(low), float(high)
