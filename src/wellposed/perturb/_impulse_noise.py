"""Noise of dead and of hot pixels."""

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from wellposed.perturb._base import Draw, Perturbation


@final
@dataclass(frozen=True)
class ImpulseNoise(Perturbation):
    """Set a share of the pixels, in all channels, to the least or the greatest of the range.

    Args:
        severity: From 1 to 5: a share of 0.01, 0.025, 0.05, 0.09, 0.15; 0 changes no bit.
        seed: Of the places and the values, at least 0.
    """

    factor: ClassVar[str] = "noise"
    parameter: ClassVar[str] = "share of the pixels"
    scale: ClassVar[tuple[float, float, float, float, float]] = (0.01, 0.025, 0.05, 0.09, 0.15)

    def _changed(
        self, x: Tensor, strength: float, input_range: tuple[float, float], draw: Draw, /
    ) -> Tensor:
        low, high = input_range
        n, _, height, width = x.shape
        hit = draw.uniform(n, 1, height, width) < strength
        value = torch.where(draw.uniform(n, 1, height, width) < 0.5, low, high).to(x)
        return torch.where(hit, value, x)
