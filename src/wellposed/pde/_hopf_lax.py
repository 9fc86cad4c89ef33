"""The Hamilton-Jacobi equation without viscosity: lower and upper envelopes of a loss."""

import numpy as np

from wellposed.errors import require
from wellposed.pde._envelope import lower_envelope
from wellposed.pde._grid import Grid, require_time
from wellposed.pde._heat import differences
from wellposed.pde._relaxed import Relaxed, edge_distance, within_reach


def hopf_lax(values: np.ndarray, grid: Grid, t: float) -> Relaxed:
    r"""Relax a loss by the Hamilton-Jacobi equation: the Moreau envelope, or inf-convolution.

    $$u_t = -\tfrac12 \|\nabla u\|^2, \qquad
    u(x, t) = \min_y f(y) + \frac{\|x - y\|^2}{2t}, \qquad
    \nabla u = \frac{x - \operatorname{prox}_{tf}(x)}t$$

    It asks whether something better is nearby: walls of valleys are lowered, minima stay where they
    are. The minimum over the grid is exact; it lies above the minimum over all y by at most
    $h^2 (\lambda + 1/t) / 8$ along each axis, $\lambda$ the largest curvature of f, and the
    proximal point is a grid point. Before the first caustic, $t < 1/|\lambda_{\min}|$, it is unique
    (`caustic_time`).

    Args:
        values: f on the grid, finite.
        grid: So fine that some point moves: $h^2 / 2t$ is at most the largest difference of
            neighbors.
        t: Time, at least 0.

    Cost: O(N) for N points. Raises `ArgumentError` outside these ranges.

    References:
        Felzenszwalb and Huttenlocher, Distance transforms of sampled functions, 2012.
        Chaudhari, Oberman, Osher, Soatto and Carlier, Deep relaxation, 2018, arXiv:1704.04932.
    """
    f = grid.require_values(values)
    require_time(t)
    if t == 0:
        return Relaxed(f.copy(), differences(f, grid), grid.points, np.ones(f.shape, bool))
    _require_resolved(f, grid, t)
    where = np.indices(f.shape)
    u = f
    for along, h in enumerate(grid.spacing):
        curvature = h**2 / (2 * t)
        moved = np.apply_along_axis(lower_envelope, along, u, curvature)
        from_there = np.arange(f.shape[along]).reshape(
            [-1 if k == along else 1 for k in range(f.ndim)]
        )
        u = np.take_along_axis(u, moved, along) + curvature * (from_there - moved) ** 2
        where = np.stack([np.take_along_axis(index, moved, along) for index in where])
    points = np.stack([axis[index] for axis, index in zip(grid.axes, where, strict=True)])
    trusted = within_reach(edge_distance(grid), t, u - f.min())
    return Relaxed(u, (grid.points - points) / t, points, trusted)


def sup_convolution(values: np.ndarray, grid: Grid, t: float) -> Relaxed:
    r"""The upper envelope of a loss, which solves the Hamilton-Jacobi equation with the other sign.

    $$w_t = +\tfrac12 \|\nabla w\|^2, \qquad
    w(x, t) = \max_y f(y) - \frac{\|x - y\|^2}{2t}, \qquad \nabla w = \frac{y^*(x) - x}t$$

    It asks whether everything nearby is good, as sharpness-aware minimization does: narrow valleys
    are closed from above. It is minus `hopf_lax` of minus f, with its accuracy and cost.

    Args:
        values: f on the grid, finite.
        grid: As for `hopf_lax`.
        t: Time, at least 0. Where f grows as $\lambda x^2 / 2$, w is finite for $t < 1/\lambda$.

    Raises `ArgumentError` outside these ranges.

    References:
        Foret et al., Sharpness-aware minimization, 2021, arXiv:2010.01412.
    """
    turned = hopf_lax(-np.asarray(values, dtype=np.float64), grid, t)
    return Relaxed(-turned.values, -turned.gradient, turned.points, turned.trusted)


def _require_resolved(f: np.ndarray, grid: Grid, t: float) -> None:
    """Refuse a time in which no point of the grid gets as far as to its neighbor."""
    sees = np.ptp(f) == 0 or any(
        np.abs(np.diff(f, axis=along)).max() >= h**2 / (2 * t)
        for along, h in enumerate(grid.spacing)
    )
    require(
        bool(sees),
        f"the grid is too coarse for t={t:g}: its spacing {max(grid.spacing):.3g} is more than any "
        "point moves in that time; take more points, or a larger t",
    )
