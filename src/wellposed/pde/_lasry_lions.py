"""The Lasry-Lions double envelope: a smooth loss with the valleys of the old one."""

import numpy as np

from wellposed.errors import require
from wellposed.pde._grid import Grid, require_time
from wellposed.pde._hopf_lax import hopf_lax, sup_convolution
from wellposed.pde._relaxed import Relaxed, gap_distance, within_reach


def lasry_lions(values: np.ndarray, grid: Grid, t: float, s: float) -> Relaxed:
    r"""The upper envelope for a time s of the lower envelope for a longer time t.

    $$u_{t,s}(x) = \max_z \min_y f(y) + \frac{\|z - y\|^2}{2t} - \frac{\|x - z\|^2}{2s}$$

    Curvature is at most $1/t$ after the first and at least $-1/s$ after the second, and for
    $s < t$ the result is differentiable with a gradient that is Lipschitz. Minima stay. For
    $0 < s < t$ it lies between the lower envelopes for the times t and $t - s$.

    Args:
        values: f on the grid, finite.
        grid: As for `hopf_lax`.
        t: Time of the lower envelope, at least 0.
        s: Time of the upper envelope, at least 0 and below t (or both 0).

    Cost: O(N) for N points. Raises `ArgumentError` outside these ranges.

    References:
        Lasry and Lions, A remark on regularization in Hilbert spaces, 1986.
    """
    require_time(t)
    require_time(s)
    require(
        bool(s < t or s == t == 0),
        f"the second envelope of Lasry and Lions is for a shorter time, got s={s:g} and t={t:g}; "
        f"try s={t / 2:g}",
    )
    lower = hopf_lax(values, grid, t)
    upper = sup_convolution(lower.values, grid, s)
    gain = lower.values.max() - upper.values
    trusted = within_reach(gap_distance(lower.trusted, grid), s, gain) & lower.trusted
    return Relaxed(upper.values, upper.gradient, upper.points, np.asarray(trusted))
