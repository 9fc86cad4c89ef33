"""Clutter: other things behind and around the object."""

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from wellposed.errors import require
from wellposed.perturb._base import Draw, Perturbation
from wellposed.perturb._sampling import centers

_BACKGROUND = 0.1  # of the range: how far a background pixel is from the border's color at most
_ENOUGH = 0.5  # of the border: where less of it has one color, there is no plain background
_OBJECT = 0.75  # of the sides: the ellipse that is left alone in images without a background
_CELLS = 5  # along the shorter side


@final
@dataclass(frozen=True)
class Clutter(Perturbation):
    """Put fragments of another image of the batch behind each object.

    Behind is, in images with a plain background, where the color is that of the border (its
    median, within a tenth of the range, which at least half of the border has). In other images,
    such as most photographs, it is what lies outside an ellipse of 0.75 of the sides, and the
    fragments surround the object. The other image is that of a random other example, moved around
    by half its size so that its object comes to lie in the corners. It is shown in square cells,
    5 along the shorter side.

    Args:
        severity: From 1 to 5: 0.15, 0.3, 0.45, 0.7, 1 of the cells, on average; 0 changes no bit.
        seed: Of the other examples and the cells, at least 0.
    """

    factor: ClassVar[str] = "clutter"
    parameter: ClassVar[str] = "share of the background"
    scale: ClassVar[tuple[float, float, float, float, float]] = (0.15, 0.3, 0.45, 0.7, 1.0)
    least_side: ClassVar[int] = 16

    def _changed(
        self, x: Tensor, strength: float, input_range: tuple[float, float], draw: Draw, /
    ) -> Tensor:
        n, _, height, width = x.shape
        require(
            n > 1,
            "Clutter takes fragments from other images of the batch, got a batch of 1; give more",
        )
        step = 1 + ((n - 1) * draw.uniform(n)).long().clamp_(max=n - 2)
        other = x[(torch.arange(n, device=x.device) + step) % n]
        other = other.roll((height // 2, width // 2), (2, 3))
        cell = max(1, round(min(height, width) / _CELLS))
        shown = draw.uniform(n, -(-height // cell), -(-width // cell)) < strength
        shown = shown.repeat_interleave(cell, 1).repeat_interleave(cell, 2)[:, :height, :width]
        mask = shown & background(x, input_range)
        return torch.where(mask[:, None], other, x)


def background(x: Tensor, input_range: tuple[float, float]) -> Tensor:
    """Which pixels (n, height, width) are behind the object."""
    low, high = input_range
    border = torch.cat([x[:, :, 0], x[:, :, -1], x[:, :, 1:-1, 0], x[:, :, 1:-1, -1]], dim=2)
    color = border.median(dim=2).values[:, :, None, None]
    near = _BACKGROUND * (high - low)
    plain = (x - color).abs().amax(1) <= near
    enough = ((border - color[..., 0]).abs().amax(1) <= near).double().mean(1) >= _ENOUGH
    rows, columns = centers(x)
    height, width = x.shape[2:]
    outside = (2 * rows / height) ** 2 + (2 * columns / width) ** 2 > _OBJECT**2
    return torch.where(enough[:, None, None], plain, outside)
