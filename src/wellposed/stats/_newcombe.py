"""An interval for the difference of two shares that were seen apart."""

import math

from wellposed.stats._base import Interval
from wellposed.stats._share import wilson

Count = tuple[int, int]


def newcombe(a: Count, b: Count, level: float = 0.95) -> Interval:
    r"""Newcombe's interval for the difference $p_a - p_b$ of two independent shares.

    From Wilson's intervals $[l, u]$ of both:

    $$\hat p_a - \hat p_b - \sqrt{(\hat p_a - l_a)^2 + (u_b - \hat p_b)^2}$$

    and likewise above. Its coverage is close to the level also for shares near 0 and 1.

    Args:
        a: (k, n): how often it happened among the first, and how often it could have.
        b: The same of the second.
        level: Confidence, in (0, 1).

    Returns (low, high) within [-1, 1], and raises `ArgumentError` outside these ranges.

    References:
        Newcombe, Interval estimation for the difference between independent proportions:
        comparison of eleven methods, 1998, method 10.
    """
    (la, ua), (lb, ub) = wilson(*a, level), wilson(*b, level)
    pa, pb = a[0] / a[1], b[0] / b[1]
    return (
        pa - pb - math.hypot(pa - la, ub - pb),
        pa - pb + math.hypot(ua - pa, pb - lb),
    )
