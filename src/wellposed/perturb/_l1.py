"""The ball of the sum norm: few coordinates may move far."""

from dataclasses import dataclass
from math import isfinite
from typing import ClassVar, final

import torch
from torch import Tensor

from wellposed.errors import require
from wellposed.perturb._ball import Ball, Bounds, flat, rounded_up


@final
@dataclass(frozen=True)
class L1(Ball):
    r"""$\|\delta\|_1 = \sum_i |\delta_i| \le \varepsilon$.

    The steepest direction moves only the coordinate with the largest derivative, the first of them
    if there are several. Random points are uniform in the ball, and those outside the bounds are
    then moved to the nearest point of ball and bounds.

    The nearest point is $\mathrm{sign}(u_i)\,\mathrm{clip}(|u_i| - \lambda, 0, b_i)$ with the
    room $b_i$ on the side of the wanted displacement u. Its norm is linear in $\lambda$ between
    the sorted breakpoints $|u_i|$ and $|u_i| - b_i$, which gives $\lambda$ without iteration.

    Args:
        eps: The radius, in the units of the inputs.

    References:
        Croce and Hein, Mind the box: l1-APGD for sparse adversarial attacks on image classifiers,
        2021, arXiv:2103.01208.
    """

    norm: ClassVar[str] = "l1"
    dual: ClassVar[str] = "linf"

    def distance(self, x: Tensor, center: Tensor) -> Tensor:
        """The sum of all changes per example, in float64."""
        return flat(x.double() - center.double()).abs().sum(1)

    def steepest(self, gradient: Tensor) -> Tensor:
        """The sign of the largest entry, at its place; 0 elsewhere."""
        clean = flat(gradient.nan_to_num(0.0))
        if clean.numel() == 0:
            return torch.zeros_like(gradient)
        place = clean.abs().argmax(1, keepdim=True)
        return (
            torch.zeros_like(clean)
            .scatter(1, place, clean.gather(1, place).sign())
            .view(gradient.shape)
        )

    def spread(self, cube: Tensor, center: Tensor, bounds: Bounds = (0.0, 1.0)) -> Tensor:
        """Exponential spacings: the first numbers set size and sign, the last what is left over."""
        require(isfinite(self.eps), "a random point needs a finite radius, got eps=inf")
        signed = 2 * cube[:, :-1] - 1
        sizes, rest = (
            -torch.log1p(-signed.abs().clamp_max(1 - 2.0**-53)),
            -torch.log1p(-cube[:, -1:]),
        )
        share = sizes / (sizes.sum(1, keepdim=True) + rest).clamp_min(1e-300)
        move = self.eps * signed.sign() * share
        return self._moved(move.view(center.shape), center, bounds)

    def _nearest(self, wanted: Tensor, low: Tensor, high: Tensor) -> Tensor:
        nearest = wanted.clamp(low, high)
        rows = nearest.abs().sum(1) > self.eps
        if rows.any():
            room = torch.where(wanted > 0, high, -low)[rows]
            nearest[rows] = self._thresholded(wanted[rows], room)
        return nearest

    def _thresholded(self, wanted: Tensor, room: Tensor) -> Tensor:
        """The wanted move, each coordinate less by the right threshold, within its room."""
        size = wanted.abs()
        room = torch.minimum(room, size)
        breaks, order = torch.cat([size - room, size], 1).sort(dim=1)
        starts = 2 * (order < size.shape[1]).double() - 1  # from here on one coordinate more falls
        falling = starts.cumsum(1)
        fallen = (falling[:, :-1] * breaks.diff(dim=1)).cumsum(1)
        total = room.sum(1, keepdim=True)
        norms = torch.cat([total, total - fallen], 1)  # at the breakpoints
        last = ((norms >= self.eps).sum(1, keepdim=True) - 1).clamp_min(0)
        excess = norms.gather(1, last) - self.eps
        threshold = breaks.gather(1, last) + excess / falling.gather(1, last).clamp_min(1)
        return wanted.sign() * torch.minimum((size - threshold).clamp_min(0), room)

    def _at_most(self, displacement: Tensor) -> Tensor:
        return rounded_up(displacement.abs().sum(1), displacement.shape[1])
