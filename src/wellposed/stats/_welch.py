"""An interval for the difference of two means, of unequal scatter."""

import numpy as np
from scipy.special import stdtrit

from wellposed.errors import require
from wellposed.stats._base import Interval, require_level
from wellposed.stats._mean import Values


def welch_difference(a: Values, b: Values, level: float = 0.95) -> Interval:
    r"""Welch's interval for the mean of a minus that of b, drawn apart from each other.

    $$\bar a - \bar b \pm t_\nu \sqrt{v_a + v_b}, \qquad v = s^2 / n, \qquad
      \nu = \frac{(v_a + v_b)^2}{v_a^2/(n_a - 1) + v_b^2/(n_b - 1)}$$

    Near its level for normal values, whatever their two scatters are.

    Args:
        a: At least two finite numbers, drawn independently.
        b: The same of the other group.
        level: Confidence, in (0, 1).

    Returns (low, high), and raises `ArgumentError` outside these ranges.

    References:
        Welch, The generalization of "Student's" problem when several different population
        variances are involved, 1947.
    """
    require_level(level)
    parts = []
    for values in (a, b):
        x = np.asarray(values, dtype=np.float64)
        require(
            x.ndim == 1 and len(x) >= 2,
            f"a difference of means needs at least 2 values in each group, got shape {x.shape}",
        )
        require(bool(np.isfinite(x).all()), f"means need finite values, got {x.tolist()}")
        parts.append((float(x.mean()), float(x.var(ddof=1)) / len(x), len(x) - 1))
    (mean_a, v_a, n_a), (mean_b, v_b, n_b) = parts
    value, scatter = mean_a - mean_b, v_a + v_b
    if scatter == 0:
        return value, value
    share = v_a / scatter  # of two, so that tiny scatters do not vanish when squared
    nu = 1 / (share**2 / n_a + (1 - share) ** 2 / n_b)
    half = float(stdtrit(nu, (1 + level) / 2) * np.sqrt(scatter))
    return value - half, value + half
