"""The viscous Hamilton-Jacobi equation, or local entropy, by the Cole-Hopf transform."""

import numpy as np

from wellposed.pde._gibbs import gibbs
from wellposed.pde._grid import Grid, require_beta, require_time
from wellposed.pde._heat import differences
from wellposed.pde._relaxed import Relaxed, little_mass_beyond


def cole_hopf(values: np.ndarray, grid: Grid, t: float, beta: float) -> Relaxed:
    r"""Relax a loss by the viscous Hamilton-Jacobi equation, whose solution is the local entropy.

    $$u_t = -\tfrac12 \|\nabla u\|^2 + \tfrac1{2\beta} \Delta u, \qquad
    u(x, t) = -\tfrac1\beta \log \mathbb E\, e^{-\beta f(x + \sqrt{t/\beta}\, \xi)}, \qquad
    \nabla u = \frac{x - \langle y \rangle}t$$

    where $\langle y \rangle$ is the mean of the Gibbs density (`gibbs`). It favors valleys that are
    wide: $\beta \to \infty$ is `hopf_lax`, and $\beta \to 0$ at fixed $t/\beta$ is `heat` for that
    time. The sums converge faster than any power of h where $e^{-\beta f}$ is smooth and resolved,
    as $h^2$ at kinks. $u$ stays between the extremes of $f$.

    Args:
        values: f on the grid, finite.
        grid: With spacing at most $\sqrt{t/\beta}$.
        t: Time, at least 0.
        beta: Inverse temperature $\beta$, positive.

    Cost: $N n$ exponentials for N points, n along an axis. Raises `ArgumentError` outside these
    ranges.

    References:
        Chaudhari et al., Entropy-SGD, 2017, arXiv:1611.01838.
        Chaudhari, Oberman, Osher, Soatto and Carlier, Deep relaxation, 2018, arXiv:1704.04932.
    """
    f = grid.require_values(values)
    require_time(t)
    require_beta(beta)
    if t == 0:
        return Relaxed(f.copy(), differences(f, grid), grid.points, np.ones(f.shape, bool))
    density = gibbs(f, grid, t, beta)
    u = -density.log_mean / beta
    trusted = little_mass_beyond(grid, float(np.sqrt(t / beta)), beta * (u - f.min()))
    return Relaxed(u, (grid.points - density.mean) / t, density.mean, trusted)
