"""The ball of the sum norm: few coordinates may move far."""

from dataclasses import dataclass
from math import isfinite
from typing import ClassVar, final

import torch
from torch import Tensor

from wellposed.errors import require
from wellposed.perturb._ball import Ball, Bounds, flat, rounded_up

_CLOSE = 1e-14  # the norm to eps, relative


@final
@dataclass(frozen=True)
class L1(Ball):
    r"""$\|\delta\|_1 = \sum_i |\delta_i| \le \varepsilon$.

    The steepest direction moves only the coordinate with the largest derivative, the first of them
    if there are several. Random points are uniform in the ball, and those outside the bounds are
    then moved to the nearest point of ball and bounds.

    The nearest point is $\mathrm{sign}(u_i)\,\mathrm{clip}(|u_i| - \lambda, 0, b_i)$ with the
    room $b_i$ on the side of the wanted displacement u. Its norm falls with $\lambda$ and is
    linear between breakpoints, so that Newton's method, inside a bracket, finds $\lambda$ in a few
    steps.

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
        return self._moved(move.view(center.shape), self.room(center, bounds))

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
        low = torch.zeros_like(size[:, :1])
        high = size.amax(1, keepdim=True)
        cut = low
        while True:
            kept = torch.minimum((size - cut).clamp_min(0), room)
            excess = kept.sum(1, keepdim=True) - self.eps
            low, high = torch.where(excess > 0, cut, low), torch.where(excess > 0, high, cut)
            slope = ((kept > 0) & (kept < room)).sum(1, keepdim=True)
            newton, middle = cut + excess / slope, (low + high) / 2
            proposed = torch.where((low < newton) & (newton < high), newton, middle)
            done = (excess.abs() <= _CLOSE * self.eps) | (proposed <= low) | (proposed >= high)
            if done.all():
                return wanted.sign() * kept
            cut = torch.where(done, cut, proposed)

    def _at_most(self, displacement: Tensor) -> Tensor:
        return rounded_up(displacement.abs().sum(1), displacement.shape[1])
