"""The Gaussian kernel on a grid whose edges are mirrors."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np

from wellposed.errors import require

_DEVIATIONS = 9.0  # mirror images farther away than this weigh below 1e-17
_FLAT = 4.0  # from this many lengths of the axis on, the mirrored density is flat to 1e-30


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

    Cost: $n^2$ exponentials for each of 6 to 74 images, the more the larger $\sigma$ is; memory of
    about 8 arrays of $n^2$ numbers.
    """
    length = float(axis[-1] - axis[0])
    h = length / (len(axis) - 1)
    flat = min(deviation, _FLAT * length)
    logs = np.full((len(axis), len(axis)), -np.inf)
    for away, count in _images(axis, flat):
        logs = np.logaddexp(logs, count - 0.5 * (away / flat) ** 2)
    means, squares = np.zeros_like(logs), np.zeros_like(logs)
    for away, count in _images(axis, flat):
        share = np.exp(count - 0.5 * (away / flat) ** 2 - logs)
        means += share * away
        squares += share * away**2
    reach = math.ceil(40 * flat / h)
    total = np.exp(-0.5 * (np.arange(-reach, reach + 1) * h / flat) ** 2).sum()
    return Kernel(logs - np.log(total), means, squares + (deviation**2 - flat**2))


def _images(axis: np.ndarray, deviation: float) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """How far every point's images are from every point, and the logarithm of how they count."""
    place, length = axis - axis[0], float(axis[-1] - axis[0])
    once = np.zeros(len(axis))
    edges = np.zeros(len(axis))
    edges[[0, -1]] = -np.inf  # an edge is its own mirror image, and counts once
    periods = max(1, math.ceil(_DEVIATIONS * deviation / (2 * length)))
    for k in range(-periods, periods + 1):
        yield place[None, :] - place[:, None] + 2 * k * length, once
        yield -place[None, :] - place[:, None] + 2 * k * length, edges


def require_resolved(deviation: float, spacing: tuple[float, ...], said: str) -> None:
    """Refuse a Gaussian that is narrower than the grid is fine."""
    h = max(spacing)
    require(
        deviation >= h,
        f"the grid is too coarse: its spacing {h:.3g} is above {said}; "
        f"take {math.ceil(h / deviation)} times as many points, or a larger t",
    )
