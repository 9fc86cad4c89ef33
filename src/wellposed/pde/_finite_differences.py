"""Hamilton-Jacobi equations step by step, by a monotone upwind scheme."""

import math

import numpy as np

from wellposed.errors import require
from wellposed.pde._grid import Grid, require_beta, require_time
from wellposed.pde._heat import differences
from wellposed.pde._relaxed import Relaxed, edge_distance, little_mass_beyond, within_reach

_STEPS = 200_000


def finite_differences(
    values: np.ndarray, grid: Grid, t: float, beta: float = math.inf, *, safety: float = 0.9
) -> Relaxed:
    r"""Relax a loss by Godunov's upwind differences for $\tfrac12 \|\nabla u\|^2$, step by step.

    $$u_i \leftarrow u_i - \tau \sum_{\text{axes}} \Bigl(
    \tfrac12 \max\bigl(\max(D^- u_i, 0)^2, \min(D^+ u_i, 0)^2\bigr)
    - \tfrac1{2\beta} D^+ D^- u_i \Bigr)$$

    The scheme is monotone, and so converges to the viscosity solution, under the condition
    $\tau \sum (\max |Du| / h + 1/(\beta h^2)) \le 1$, which this function keeps. The error is of
    first order in h where u is smooth. It needs no formula for the solution, so that it checks
    those of `cole_hopf` and `hopf_lax`; they are faster and more accurate.

    Args:
        values: f on the grid, finite.
        grid: One or two axes.
        t: Time, at least 0.
        beta: Inverse temperature $\beta$, positive; inf for no viscosity.
        safety: Fraction of the largest monotone step that is taken, in (0, 1].

    Cost: $t / \tau$ passes over the grid; more than 200,000 are refused. Raises `ArgumentError`
    outside these ranges.

    References:
        Crandall and Lions, Two approximations of solutions of Hamilton-Jacobi equations, 1984.
    """
    u = grid.require_values(values).copy()
    require_time(t)
    if beta != math.inf:
        require_beta(beta)
    require(bool(0 < safety <= 1), f"safety is in (0, 1], got safety={safety:g}; try 0.9")
    steps = math.ceil(t * _rate(u, grid, beta) / safety)
    require(
        steps <= _STEPS,
        f"this takes {steps} steps, and at most {_STEPS} are taken; take fewer points, a smaller t "
        "or a larger beta, or cole_hopf",
    )
    least = u.min()
    for _ in range(steps):
        u -= t / steps * _slope(u, grid, beta)
    trusted = within_reach(edge_distance(grid), t, u - least)
    if t > 0 and beta < math.inf:
        trusted = little_mass_beyond(grid, math.sqrt(t / beta), beta * (u - least))
    return Relaxed(u, differences(u, grid), None, trusted)


def _rate(u: np.ndarray, grid: Grid, beta: float) -> float:
    """The inverse of the largest monotone step; slopes never grow, so it holds for all times."""
    return sum(
        float(np.abs(np.diff(u, axis=along)).max()) / h**2 + 1 / (beta * h**2)
        for along, h in enumerate(grid.spacing)
    )


def _slope(u: np.ndarray, grid: Grid, beta: float) -> np.ndarray:
    """Minus the time derivative of u."""
    total = np.zeros_like(u)
    for along, h in enumerate(grid.spacing):
        pad = [(1, 1) if k == along else (0, 0) for k in range(u.ndim)]
        slopes = np.diff(np.pad(u, pad, mode="reflect"), axis=along) / h
        n = u.shape[along]
        before = np.take(slopes, range(n), axis=along)
        after = np.take(slopes, range(1, n + 1), axis=along)
        total += 0.5 * np.maximum(np.maximum(before, 0.0) ** 2, np.minimum(after, 0.0) ** 2)
        if beta < math.inf:
            total -= (after - before) / (2 * beta * h)
    return total
