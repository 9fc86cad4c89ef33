"""The Gaussian kernel on a grid whose edges are mirrors."""

import math
from dataclasses import dataclass
from typing import final

import numpy as np

from wellposed.errors import require

_DEVIATIONS = 9.0  # mirror images farther away than this weigh below 1e-17


@final
@dataclass(frozen=True, slots=True, eq=False)
class Kernel:
    r"""Weights of the points $y_j$, seen from $x_i$ in a hall of mirrors.

    Every $y_j$ has images behind the edges; `log_weights` sums them up, so that rows sum to 1, and
    `means`, `squares` are the mean and mean square of $y - x_i$ over the images of $y_j$.

    Args:
        log_weights: Logarithms, shape (n, n).
        means: Shape (n, n).
        squares: Shape (n, n).
    """

    log_weights: np.ndarray
    means: np.ndarray
    squares: np.ndarray


def gaussian(axis: np.ndarray, deviation: float) -> Kernel:
    r"""The normal density of this deviation, summed by the trapezoidal rule on the whole line.

    The rule's error for the smooth part is $2 e^{-2 \pi^2 \sigma^2 / h^2}$, below 6e-9 where
    $\sigma \ge h$; weights are normalized, so constants stay what they are to rounding.

    Args:
        axis: A uniform axis of n points.
        deviation: $\sigma$, at least the spacing.

    Cost: $n^2$ times the number of images, which grows with $\sigma$ over the length of the axis.
    """
    n, length = len(axis), float(axis[-1] - axis[0])
    h = length / (n - 1)
    periods = max(1, int(np.ceil(_DEVIATIONS * deviation / (2 * length))))
    place = axis - axis[0]
    direct = place[None, :] - place[:, None]
    mirrored = -place[None, :] - place[:, None]
    edges = np.zeros(n)
    edges[[0, -1]] = -np.inf  # an edge is its own mirror image, and counts once
    logs = np.full((n, n), -np.inf)
    images = [
        (away + 2 * k * length, count)
        for k in range(-periods, periods + 1)
        for away, count in ((direct, np.zeros(n)), (mirrored, edges))
    ]
    for away, count in images:
        logs = np.logaddexp(logs, count - 0.5 * (away / deviation) ** 2)
    means, squares = np.zeros((n, n)), np.zeros((n, n))
    for away, count in images:
        share = np.exp(count - 0.5 * (away / deviation) ** 2 - logs)
        means += share * away
        squares += share * away**2
    total = np.exp(
        -0.5
        * (np.arange(-np.ceil(40 * deviation / h), 40 * deviation / h + 1) * h / deviation) ** 2
    ).sum()
    return Kernel(logs - np.log(total), means, squares)


def require_resolved(deviation: float, spacing: tuple[float, ...], said: str) -> None:
    """Refuse a Gaussian that is narrower than the grid is fine."""
    h = max(spacing)
    require(
        deviation >= h,
        f"the grid is too coarse: its spacing {h:.3g} is above {said}; "
        f"take {math.ceil(h / deviation)} times as many points, or a larger t",
    )
