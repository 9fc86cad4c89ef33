"""The ball of the maximum norm: no coordinate moves by more than eps."""

from dataclasses import dataclass, replace
from math import isfinite
from typing import ClassVar, final

import torch
from torch import Tensor

from wellposed.errors import require
from wellposed.perturb._ball import Ball, Bounds, Room, flat


@final
@dataclass(frozen=True)
class Linf(Ball):
    r"""$\|\delta\|_\infty = \max_i |\delta_i| \le \varepsilon$.

    The steepest direction is the sign of the gradient. The ball within bounds is a box, whose
    faces are rounded inward, and random points are uniform in that box.

    Args:
        eps: The radius, in the units of the inputs, such as 8/255 for images in [0, 1].
    """

    norm: ClassVar[str] = "linf"
    dual: ClassVar[str] = "l1"

    def distance(self, x: Tensor, center: Tensor) -> Tensor:
        """The largest change of a coordinate per example, in float64."""
        return self._at_most(flat(x.double() - center.double()))

    def steepest(self, gradient: Tensor) -> Tensor:
        """The sign of the gradient."""
        return gradient.nan_to_num(0.0).sign()

    def room(self, center: Tensor, bounds: Bounds = (0.0, 1.0)) -> Room:
        """The box itself: the bounds, and the center minus and plus eps."""
        whole = super().room(center, bounds)
        if self.eps == torch.inf:
            return whole
        low, high = (_face(whole, step) for step in (-self.eps, self.eps))
        return replace(
            whole, low=torch.maximum(low, whole.low), high=torch.minimum(high, whole.high)
        )

    def into(self, x: Tensor, room: Room) -> Tensor:
        """Each coordinate clipped to the box."""
        found = x.clamp(room.low, room.high).to(room.center)
        if found.sum().isnan():  # a twentieth of the cost of a mask
            found = torch.where(found.isnan(), room.center, found)
        return found

    def holds(self, x: Tensor, room: Room) -> Tensor:
        """Which points lie in the box."""
        return flat((x >= room.low) & (x <= room.high)).all(1)

    def spread(self, cube: Tensor, center: Tensor, bounds: Bounds = (0.0, 1.0)) -> Tensor:
        """The point of the box with these relative coordinates; the last number is not used."""
        require(isfinite(self.eps), "a random point needs a finite radius, got eps=inf")
        room = self.room(center, bounds)
        share = cube[:, :-1].reshape(center.shape)
        low, high = room.low.double(), room.high.double()
        return self.into(low + (high - low) * share, room)

    def _nearest(self, wanted: Tensor, low: Tensor, high: Tensor) -> Tensor:
        return wanted.clamp(-self.eps, self.eps).clamp(low, high)

    def _at_most(self, displacement: Tensor) -> Tensor:
        return displacement.abs().amax(1) if displacement.numel() else displacement.sum(1)


def _face(room: Room, step: float) -> Tensor:
    """The center plus a step of +-eps in its type, rounded so that it is no further than that."""
    exact, radius = room.middle, abs(step)
    face = (exact + step).to(room.center.dtype)
    there = face.double()
    move = (there - exact).abs()
    further = move > radius
    even = move == radius
    if even.any():  # as rounded numbers; the rounding error decides
        further = further | (even & (_lost(there, exact) * step > 0))
    return torch.where(further, face.nextafter(room.center), face)


def _lost(a: Tensor, b: Tensor) -> Tensor:
    """The rounding error of a - b, exactly (Knuth 1969): a - b = fl(a - b) + this."""
    difference = a - b
    part = difference + b
    return (a - part) + ((part - difference) - b)
