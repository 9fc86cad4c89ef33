"""The Gibbs density around a point, which the viscous equation averages over."""

from dataclasses import dataclass
from typing import final

import numpy as np

from wellposed.errors import require
from wellposed.pde._grid import Grid, require_beta, require_time
from wellposed.pde._kernel import Kernel, gaussian, require_resolved


@final
@dataclass(frozen=True, slots=True, eq=False)
class Gibbs:
    r"""Moments of $\rho(y) \propto e^{-\beta f(y) - \beta \|x - y\|^2 / 2t}$ for every x.

    Args:
        log_mean: $\log \mathbb E\, e^{-\beta f(x + \sqrt{t/\beta}\, \xi)}$, shape of the grid.
        mean: $\langle y \rangle$, shape (number of axes, *shape); y may be a mirror image.
        variance: Diagonal of $\mathrm{Cov}(y)$, in the shape of `mean`.
    """

    log_mean: np.ndarray
    mean: np.ndarray
    variance: np.ndarray


def gibbs(values: np.ndarray, grid: Grid, t: float, beta: float) -> Gibbs:
    r"""Partition function, mean and variance of the Gibbs density around every grid point.

    Sums are taken relative to their largest term, so that no $\beta f$ overflows. Along the second
    axis they are taken over sums along the first, since the Gaussian is a product.

    Args:
        values: f on the grid, finite.
        grid: With spacing at most $\sqrt{t/\beta}$.
        t: Time, positive.
        beta: Inverse temperature, positive.

    Cost: $N n$ exponentials for N points, n along an axis. Raises `ArgumentError` outside these
    ranges.

    References:
        Chaudhari et al., Entropy-SGD, 2017, arXiv:1611.01838.
    """
    f = grid.require_values(values)
    require_time(t)
    require_beta(beta)
    require(bool(t > 0), "the Gibbs density at t=0 is a point mass at x; take t > 0")
    deviation = float(np.sqrt(t / beta))
    require_resolved(deviation, grid.spacing, f"sqrt(t/beta)={deviation:.3g}")
    log_mass = -beta * f
    moments = np.zeros((2, 0, *f.shape))  # means and mean squares of y - x along the axes done
    for along, axis in enumerate(grid.axes):
        log_mass, moments = _along(gaussian(axis, deviation), along, log_mass, moments)
    shift, square = moments
    return Gibbs(log_mass, grid.points + shift, np.maximum(square - shift**2, 0.0))


def _along(
    kernel: Kernel, axis: int, log_mass: np.ndarray, moments: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Log mass and moments after the sum along one more axis."""
    logs = np.moveaxis(log_mass, axis, 0)
    known = np.moveaxis(moments, axis + 2, 2)
    summed = np.empty_like(logs)
    found = np.empty((2, known.shape[1] + 1, *logs.shape))
    wide = (slice(None), *(None,) * (logs.ndim - 1))
    for i, row in enumerate(kernel.log_weights):
        terms = row[wide] + logs
        largest = terms.max(axis=0)
        weights = np.exp(terms - largest)
        total = weights.sum(axis=0)
        summed[i] = largest + np.log(total)
        weights /= total
        found[:, :-1, i] = np.einsum("j...,abj...->ab...", weights, known)
        found[0, -1, i] = np.einsum("j...,j->...", weights, kernel.means[i])
        found[1, -1, i] = np.einsum("j...,j->...", weights, kernel.squares[i])
    return np.moveaxis(summed, 0, axis), np.moveaxis(found, 2, axis + 2)
