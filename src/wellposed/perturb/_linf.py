"""The ball of the maximum norm: no coordinate moves by more than eps."""

from dataclasses import dataclass
from math import isfinite
from typing import ClassVar, final

import torch
from torch import Tensor

from wellposed.errors import require
from wellposed.perturb._ball import Ball, Bounds, flat


@final
@dataclass(frozen=True)
class Linf(Ball):
    r"""$\|\delta\|_\infty = \max_i |\delta_i| \le \varepsilon$.

    The steepest direction is the sign of the gradient. The ball within bounds is a box, and random
    points are uniform in that box.

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

    def spread(self, cube: Tensor, center: Tensor, bounds: Bounds = (0.0, 1.0)) -> Tensor:
        """The point of the box with these relative coordinates; the last number is not used."""
        require(isfinite(self.eps), "a random point needs a finite radius, got eps=inf")
        middle = center.double()
        low, high = (torch.as_tensor(b, dtype=torch.float64, device=middle.device) for b in bounds)
        least, most = torch.maximum(middle - self.eps, low), torch.minimum(middle + self.eps, high)
        share = cube[:, :-1].reshape(middle.shape)
        return self._moved(least + (most - least) * share - middle, center, bounds)

    def _nearest(self, wanted: Tensor, low: Tensor, high: Tensor) -> Tensor:
        return wanted.clamp(-self.eps, self.eps).clamp(low, high)

    def _at_most(self, displacement: Tensor) -> Tensor:
        return displacement.abs().amax(1) if displacement.numel() else displacement.sum(1)
