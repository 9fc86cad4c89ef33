"""The heat equation: the loss, averaged over Gaussian perturbations."""

from functools import reduce

import numpy as np

from wellposed.pde._grid import Grid, require_time
from wellposed.pde._kernel import gaussian, require_resolved
from wellposed.pde._relaxed import Relaxed, little_mass_beyond


def heat(values: np.ndarray, grid: Grid, t: float) -> Relaxed:
    r"""Smooth a loss by the heat equation, whose solution is a mean over perturbed points.

    $$v_t = \tfrac12 \Delta v, \quad v(x, 0) = f(x), \qquad
    v(x, t) = \mathbb E f(x + \sqrt t\, \xi), \quad
    \nabla v = \mathbb E \nabla f(x + \sqrt t\, \xi)$$

    with $\xi$ standard normal. It averages valleys and walls alike: a sharp valley is filled, and
    minima move. The sums converge faster than any power of h where f is smooth, as $h^2$ at kinks;
    weights are positive and sum to 1, so $v$ stays between the extremes of $f$.

    Args:
        values: f on the grid, finite.
        grid: With spacing at most $\sqrt t$.
        t: Time, at least 0; the perturbation has variance t.

    Cost: $N n$ multiplications for N points, n along an axis. Raises `ArgumentError` outside these
    ranges.

    References:
        Chaudhari, Oberman, Osher, Soatto and Carlier, Deep relaxation, 2018, arXiv:1704.04932.
    """
    f = grid.require_values(values)
    require_time(t)
    if t == 0:
        return Relaxed(f.copy(), differences(f, grid), None, np.ones(f.shape, bool))
    deviation = float(np.sqrt(t))
    require_resolved(deviation, grid.spacing, f"sqrt(t)={deviation:.3g}")
    kernels = [gaussian(axis, deviation) for axis in grid.axes]
    weights = [np.exp(kernel.log_weights) for kernel in kernels]
    slopes = [w * kernel.means / t for w, kernel in zip(weights, kernels, strict=True)]
    gradient = [
        _applied([slopes[k] if k == along else w for k, w in enumerate(weights)], f)
        for along in range(f.ndim)
    ]
    trusted = little_mass_beyond(grid, deviation)
    return Relaxed(_applied(weights, f), np.stack(gradient), None, trusted)


def differences(values: np.ndarray, grid: Grid) -> np.ndarray:
    """Central differences of values along every axis, between mirrors at the edges."""
    mirrored = np.pad(values, 1, mode="reflect")
    parts = []
    for along, h in enumerate(grid.spacing):
        core = [slice(1, -1)] * values.ndim
        after, before = core.copy(), core.copy()
        after[along], before[along] = slice(2, None), slice(None, -2)
        parts.append((mirrored[tuple(after)] - mirrored[tuple(before)]) / (2 * h))
    return np.stack(parts)


def _applied(matrices: list[np.ndarray], values: np.ndarray) -> np.ndarray:
    """The values, multiplied by one matrix along each axis."""

    def along(done: np.ndarray, item: tuple[int, np.ndarray]) -> np.ndarray:
        axis, matrix = item
        return np.moveaxis(np.tensordot(matrix, done, axes=(1, axis)), 0, axis)

    return reduce(along, enumerate(matrices), values)
