"""How long relaxation stays well-posed: the time of the first caustic."""

import math

import numpy as np

from wellposed.pde._grid import Grid


def caustic_time(values: np.ndarray, grid: Grid) -> float:
    r"""The time until which the Hamilton-Jacobi equation keeps a smooth loss smooth.

    $$t^* = \frac1{|\lambda_{\min}|}, \qquad \lambda(t) = \frac{\lambda}{1 + t \lambda}$$

    Curvature $\lambda$ along a characteristic falls to at most $1/t$ where it is positive, and
    grows beyond bounds at $t^*$ where it is negative: there, characteristics cross, and the
    proximal point jumps. Curvatures are second differences at interior points, accurate to $h^2$;
    a kink that points upwards shows as a time of order h. For `sup_convolution`, take minus the
    values.

    Args:
        values: f on the grid, finite.
        grid: One or two axes.

    Returns $t^*$; inf where no curvature is negative beyond rounding. Raises `ArgumentError` if
    values and grid do not fit.

    References:
        Chaudhari, Oberman, Osher, Soatto and Carlier, Deep relaxation, 2018, arXiv:1704.04932.
    """
    f = grid.require_values(values)
    least = float(_smallest_curvature(f, grid.spacing))
    rounding = 16 * np.finfo(np.float64).eps * float(np.abs(f).max()) / min(grid.spacing) ** 2
    return 1 / -least if least < -rounding else math.inf


def _smallest_curvature(f: np.ndarray, spacing: tuple[float, ...]) -> float:
    """The smallest eigenvalue of the matrix of second differences over all interior points."""
    if f.ndim == 1:
        return float((np.diff(f, 2) / spacing[0] ** 2).min())
    h, k = spacing
    xx = np.diff(f[:, 1:-1], 2, axis=0) / h**2
    yy = np.diff(f[1:-1], 2, axis=1) / k**2
    xy = (f[2:, 2:] - f[2:, :-2] - f[:-2, 2:] + f[:-2, :-2]) / (4 * h * k)
    return float(((xx + yy) / 2 - np.hypot((xx - yy) / 2, xy)).min())
