"""Intervals for a share: k of n, such as wrong predictions of a test set."""

import math

from scipy.special import betaincinv, ndtri

from wellposed.errors import require
from wellposed.stats._base import Interval, require_level


def wilson(k: int, n: int, level: float = 0.95) -> Interval:
    r"""Wilson's score interval for a share of which k in n were seen.

    The shares p that a normal approximation with *their own* variance does not reject:

    $$|k/n - p| \le z \sqrt{p (1 - p) / n}$$

    Its coverage is close to the level on average over p, also for few errors and for none, where
    the textbook interval $\hat p \pm z\,s$ fails; single values of p near 0 or 1 get less (at
    level 0.95 and $n \ge 10$, at least about 0.83). Where coverage must never be below the
    level, take `clopper_pearson`.

    Args:
        k: How often it happened, from 0 to n.
        n: How often it could have, at least 1.
        level: Confidence, in (0, 1).

    Returns (low, high) within [0, 1], and raises `ArgumentError` outside these ranges.

    References:
        Wilson, Probable inference, the law of succession, and statistical inference, 1927;
        Brown, Cai and DasGupta, Interval estimation for a binomial proportion, 2001.
    """
    _require_counts(k, n)
    require_level(level)
    z = -float(ndtri((1 - level) / 2))
    share, weight = k / n, 1 + z * z / n
    middle = (share + z * z / (2 * n)) / weight
    half = z / weight * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return (0.0 if k == 0 else middle - half), (1.0 if k == n else middle + half)


def clopper_pearson(k: int, n: int, level: float = 0.95) -> Interval:
    """The exact interval for a share of which k in n were seen: it covers at least at its level.

    Both tails of the binomial distribution are cut at (1 - level)/2, so that it is wider than
    needed for most shares.

    Args:
        k: How often it happened, from 0 to n.
        n: How often it could have, at least 1.
        level: Confidence, in (0, 1).

    Returns (low, high) within [0, 1], and raises `ArgumentError` outside these ranges.

    References:
        Clopper and Pearson, The use of confidence or fiducial limits, 1934.
    """
    _require_counts(k, n)
    require_level(level)
    tail = (1 - level) / 2
    low = 0.0 if k == 0 else float(betaincinv(k, n - k + 1, tail))
    high = 1.0 if k == n else float(betaincinv(k + 1, n - k, 1 - tail))
    return low, high


def _require_counts(k: int, n: int) -> None:
    require(n >= 1, f"a share needs at least one case, got n={n}")
    require(0 <= k <= n, f"a share is k of n with 0 <= k <= n, got k={k} of n={n}")
