"""Viewpoint: the object is not in the middle."""

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from wellposed.perturb._base import Draw, Perturbation


@final
@dataclass(frozen=True)
class Shift(Perturbation):
    """Move each image along one of the 8 directions; what comes in repeats the border.

    The strength is a share of height and width. Distances are whole pixels, the nearest ones and
    at least 1, so that nothing is blurred; small images have severities that coincide.

    Args:
        severity: From 1 to 5: a share of 0.036, 0.072, 0.108, 0.15, 0.2; 0 changes no bit.
        seed: Of the directions, at least 0.
    """

    factor: ClassVar[str] = "viewpoint"
    parameter: ClassVar[str] = "share of the side"
    scale: ClassVar[tuple[float, float, float, float, float]] = (0.036, 0.072, 0.108, 0.15, 0.2)
    least_side: ClassVar[int] = 2

    def _changed(
        self, x: Tensor, strength: float, _range: tuple[float, float], draw: Draw, /
    ) -> Tensor:
        direction = (8 * draw.uniform(len(x))).long().clamp_(max=7)
        direction += direction >= 4  # of the 9 cells of a 3x3 board, the middle is left out
        down, across = direction // 3 - 1, direction % 3 - 1
        return shifted(
            x, down * _pixels(strength, x.shape[2]), across * _pixels(strength, x.shape[3])
        )


def shifted(x: Tensor, down: Tensor, across: Tensor) -> Tensor:
    """The images, moved by whole pixels (n,) each; what comes in repeats the border."""
    n, channels, height, width = x.shape
    rows = torch.arange(height, device=x.device) - down[:, None]
    columns = torch.arange(width, device=x.device) - across[:, None]
    rows, columns = rows.clamp_(0, height - 1), columns.clamp_(0, width - 1)
    at = (rows[:, :, None] * width + columns[:, None, :]).view(n, 1, -1)
    return x.flatten(2).gather(2, at.expand(-1, channels, -1)).view(x.shape)


def _pixels(share: float, length: int) -> int:
    return max(1, round(share * length))
