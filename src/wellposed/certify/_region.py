"""The inputs a certificate speaks of: a ball around each example, within the input bounds."""

from dataclasses import dataclass
from typing import Protocol, final, runtime_checkable

import torch
from torch import Tensor

from wellposed.errors import require

Limits = tuple[float | Tensor, float | Tensor]

_SWEEPS = 12  # of the multiplier of an L2 ball; a bound is sound whatever it is
_NORMS = ("linf", "l2", "l1")


@runtime_checkable
class BallLike(Protocol):
    """What is read of a ball: its radius and the name of its norm."""

    @property
    def eps(self) -> float:
        """Radius, in the units of the inputs."""

    @property
    def norm(self) -> str:
        """`linf`, `l2` or `l1`."""


@final
@dataclass(frozen=True, eq=False)
class Region:
    """Balls around examples, cut by the input bounds; float64.

    Args:
        center: The examples.
        low: Lower faces of the smallest boxes around the cut balls.
        high: Upper faces.
        eps: Radius of the balls.
        norm: Of the balls.
    """

    center: Tensor
    low: Tensor
    high: Tensor
    eps: float
    norm: str

    def select(self, images: Tensor) -> "Region":
        """The regions of some of the examples."""
        return Region(self.center[images], self.low[images], self.high[images], self.eps, self.norm)


def region(inputs: Tensor, ball: BallLike, bounds: Limits) -> Region:
    """Balls around examples within the bounds.

    Args:
        inputs: The examples, within the bounds.
        ball: Has a radius `eps` and a `norm`.
        bounds: Least and greatest value of an input: numbers, or tensors that broadcast.

    Raises `ArgumentError` for a negative radius, an unknown norm, or examples outside the
    bounds.
    """
    require(ball.norm in _NORMS, f"balls are of the norms {', '.join(_NORMS)}, found {ball.norm!r}")
    require(ball.eps >= 0, f"a radius is a number >= 0, found eps={ball.eps}")
    center = inputs.detach().to("cpu", torch.float64)
    least, most = (torch.as_tensor(side, dtype=torch.float64, device="cpu") for side in bounds)
    require(
        bool(((least <= center) & (center <= most)).all()),
        "an input lies outside the bounds, perhaps by rounding only; bounds=(low, high) are those "
        "of the input space of the model, (0.0, 1.0) unless stated, made by the same arithmetic",
    )
    reach = torch.full_like(center, ball.eps)
    low = torch.nextafter(center - reach, torch.full_like(center, -torch.inf))
    high = torch.nextafter(center + reach, torch.full_like(center, torch.inf))
    norm = ball.norm if ball.eps < torch.inf else "linf"  # all within the bounds: a box
    return Region(center, torch.maximum(low, least), torch.minimum(high, most), ball.eps, norm)


def least_change(
    coefficients: Tensor, down: Tensor, up: Tensor, eps: float, norm: str
) -> tuple[Tensor, Tensor]:
    r"""A lower bound of $\min_d \langle a, d \rangle$ over a ball that a box cuts.

    For every multiplier $\lambda \ge 0$ the minimum is at least

    $$ \sum_i \min_{-m_i \le d_i \le p_i} \bigl(a_i d_i + \lambda (\psi(d_i) - \psi_0)\bigr), $$

    with $\psi(d) = d^2/2$ and $\psi_0 = \epsilon^2/2$ for the Euclidean ball, $|d|$ and $\epsilon$
    for L1; with the best one, which is looked for, it is the minimum. A box needs none.

    Args:
        coefficients: a, shape (rows, n).
        down: m >= 0, how far each input may fall, shape (rows or 1, n).
        up: p >= 0, how far it may rise.
        eps: Radius.
        norm: Of the ball; `linf` says that the box is all.

    Returns the bound of each row, and the sum of the absolute terms it was summed from.
    """
    reach = torch.where(coefficients > 0, down, up)  # the way that lowers
    size = coefficients.abs()
    if norm == "linf":
        total = (size * reach).sum(1)
        return -total, total
    if norm == "l1":
        return _l1(size, reach, eps)
    return _l2(size, reach, eps)


def _l1(size: Tensor, reach: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    order = size.argsort(1, descending=True)
    spent = reach.expand_as(size).gather(1, order).cumsum(1)
    last = (spent < eps).sum(1, keepdim=True)
    sorted_sizes = size.gather(1, order)
    enough = last < size.shape[1]
    at = sorted_sizes.gather(1, last.clamp(max=size.shape[1] - 1))
    multiplier = torch.where(enough, at, 0.0)
    gains = ((size - multiplier).clamp(min=0) * reach).sum(1)
    total = gains + multiplier[:, 0] * eps
    return -total, total


def _l2(size: Tensor, reach: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    radius = max(eps, 1e-30)
    norm = torch.linalg.vector_norm(size, dim=1, keepdim=True)
    multiplier = (norm / radius).clamp(min=1e-30)
    best = torch.full_like(norm[:, 0], torch.inf)
    for _ in range(_SWEEPS):
        cut = size > multiplier * reach
        step = torch.where(cut, reach, size / multiplier)
        gains = (size * step - multiplier * step.square() / 2).sum(1)
        best = torch.minimum(best, gains + multiplier[:, 0] * eps * eps / 2)
        left = eps * eps - torch.where(cut, reach, 0.0).square().sum(1, keepdim=True)
        free = torch.where(cut, 0.0, size).square().sum(1, keepdim=True)
        new = (free / left.clamp(min=1e-30)).sqrt()
        moved = (left > 0) & (free > 0) & (new < multiplier)
        if not moved.any():
            break
        multiplier = torch.where(moved, new, multiplier)
    box = (size * reach).sum(1)
    total = torch.minimum(best, box)
    return -total, box + norm[:, 0] * eps
