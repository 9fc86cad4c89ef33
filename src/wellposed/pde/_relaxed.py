"""What a solver returns, and how far from the edges it can be trusted."""

from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.ndimage import distance_transform_edt
from scipy.special import log_ndtr

from wellposed.pde._grid import Grid

_SHARE = 1e-8  # of the mass that may come from beyond the edges where a value is trusted


@final
@dataclass(frozen=True, slots=True, eq=False)
class Relaxed:
    r"""A loss after some time, on its grid.

    Args:
        values: $u(x, t)$, in the shape of the grid.
        gradient: $\nabla u(x, t)$, shape (number of axes, *shape).
        points: Where the value comes from, shape as `gradient`: the proximal point of `hopf_lax`,
            the highest point of `sup_convolution` and `lasry_lions`, the mean point of
            `cole_hopf`; None for `heat` and `finite_differences`.
        trusted: Where the edges cannot have mattered, booleans in the shape of the grid: whatever
            the loss does beyond them, as long as it stays above its minimum on the grid (for the
            upper envelopes: below its maximum). Exact for envelopes; otherwise up to a share of
            1e-8 of what lies beyond, for `heat` times its difference from the mirror image.
    """

    values: np.ndarray
    gradient: np.ndarray
    points: np.ndarray | None
    trusted: np.ndarray


def edge_distance(grid: Grid) -> np.ndarray:
    """Distance of every point to the nearest edge, in the shape of the grid."""
    distances = np.meshgrid(
        *(np.minimum(axis - axis[0], axis[-1] - axis) for axis in grid.axes), indexing="ij"
    )
    return np.asarray(np.minimum.reduce(distances))


def gap_distance(trusted: np.ndarray, grid: Grid) -> np.ndarray:
    """Distance of every point to what is not trusted or lies beyond an edge, from below."""
    inside = np.pad(trusted, 1)
    core = (slice(1, -1),) * trusted.ndim
    distance = distance_transform_edt(inside, sampling=grid.spacing)[core]
    return np.maximum(np.asarray(distance) - max(grid.spacing), 0.0)


def within_reach(distance: np.ndarray, t: float, gain: np.ndarray) -> np.ndarray:
    r"""Where a point at this distance cannot win by this gain: $d^2 > 2 t\, \text{gain}$."""
    return distance**2 > 2 * t * np.maximum(gain, 0.0) if t > 0 else np.ones(gain.shape, bool)


def little_mass_beyond(
    grid: Grid, deviation: float, log_gain: np.ndarray | float = 0.0
) -> np.ndarray:
    """Where a Gaussian around the point has next to no mass beyond the edges.

    Args:
        grid: Whose edges.
        deviation: Standard deviation of the Gaussian.
        log_gain: Logarithm of how much more the mass beyond could count.
    """
    if deviation == 0:
        return np.ones(grid.shape, bool)
    tails = [
        np.logaddexp(
            log_ndtr((axis[0] - axis) / deviation), log_ndtr((axis - axis[-1]) / deviation)
        )
        for axis in grid.axes
    ]
    beyond = np.logaddexp.reduce(np.meshgrid(*tails, indexing="ij"))
    return np.asarray(beyond + log_gain <= np.log(_SHARE))
