"""The ball of the Euclidean norm."""

from dataclasses import dataclass
from math import isfinite
from typing import ClassVar, final

import torch
from torch import Tensor
from torch.special import ndtri

from wellposed.errors import require
from wellposed.perturb._ball import Ball, Bounds, flat, like_rows, rounded_up

_MOST = 1e150  # its square is a number


@final
@dataclass(frozen=True)
class L2(Ball):
    r"""$\|\delta\|_2 = \sqrt{\sum_i \delta_i^2} \le \varepsilon$.

    The steepest direction is the gradient over its norm. Random points are uniform in the ball,
    and those outside the bounds are then moved to the nearest point of ball and bounds.

    The nearest point is $\mathrm{clip}(s\,u, l, h)$ of the wanted displacement u, with the largest
    $s \le 1$ whose norm is at most eps. It is found exactly: which coordinates are clipped at s
    gives an s that is too small or right, and a larger s clips more of them, so that the set of
    clipped ones grows until it is right.

    Args:
        eps: The radius, in the units of the inputs.
    """

    norm: ClassVar[str] = "l2"
    dual: ClassVar[str] = "l2"

    def distance(self, x: Tensor, center: Tensor) -> Tensor:
        """The Euclidean norm of the change per example, in float64."""
        change = flat(x.double() - center.double())
        return change.square().sum(1).sqrt()

    def steepest(self, gradient: Tensor) -> Tensor:
        """The gradient over its norm, scaled first so that no square underflows."""
        clean = gradient.nan_to_num(0.0)
        if clean.numel() == 0:
            return clean
        largest = flat(clean).abs().amax(1)
        scaled = clean / like_rows(torch.where(largest > 0, largest, 1), clean)
        norm = flat(scaled).norm(dim=1)  # 0, or at least 1
        return scaled / like_rows(norm.clamp_min(1), clean)

    def spread(self, cube: Tensor, center: Tensor, bounds: Bounds = (0.0, 1.0)) -> Tensor:
        """A normal vector of the first numbers sets the direction, the last number the radius."""
        require(isfinite(self.eps), "a random point needs a finite radius, got eps=inf")
        dimensions = cube.shape[1] - 1
        direction = self.steepest(ndtri(cube[:, :-1].clamp_min(2.0**-60)))
        radius = self.eps * cube[:, -1:] ** (1 / max(dimensions, 1))
        return self._moved((radius * direction).view(center.shape), self.room(center, bounds))

    def _nearest(self, wanted: Tensor, low: Tensor, high: Tensor) -> Tensor:
        nearest = wanted.clamp(low, high)
        rows = nearest.norm(dim=1) > self.eps
        if rows.any():
            limit = torch.where(wanted > 0, high, low)[rows]
            nearest[rows] = self._scaled(wanted[rows], limit)
        return nearest

    def _scaled(self, wanted: Tensor, limit: Tensor) -> Tensor:
        """The wanted move times the right s, clipped to the limits, which are on its side of 0."""
        u = wanted / wanted.abs().amax(1, keepdim=True)
        clips_at = limit.abs() / u.abs()  # NaN or infinite where nothing is wanted: never clipped
        squares, limits = u.square(), limit.square()
        eps = min(self.eps, _MOST)
        scale = eps / squares.sum(1, keepdim=True).sqrt()
        while True:
            clipped = clips_at < scale
            free = torch.where(clipped, 0, squares).sum(1, keepdim=True)
            left = eps**2 - torch.where(clipped, limits, 0).sum(1, keepdim=True)
            larger = torch.where(free > 0, left.clamp_min(0) / free, 0).sqrt()
            if (larger <= scale).all():
                return torch.where(clipped, limit, scale * u)
            scale = torch.maximum(larger, scale)

    def _at_most(self, displacement: Tensor) -> Tensor:
        return rounded_up(displacement.norm(dim=1), displacement.shape[1])
