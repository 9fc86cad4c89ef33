"""Occlusion: something stands before the object."""

from dataclasses import dataclass
from math import sqrt
from typing import ClassVar, final

import torch
from torch import Tensor

from wellposed.perturb._base import Draw, Perturbation


@final
@dataclass(frozen=True)
class Occlusion(Perturbation):
    """Cover a part of each image by a gray patch, of the middle of the range.

    The patch has the image's aspect ratio and lies wholly inside; every place is equally likely.

    Args:
        severity: From 1 to 5: a patch of 0.03, 0.07, 0.12, 0.2, 0.3 of the image's area; 0
            changes no bit.
        seed: Of the places, at least 0.
    """

    factor: ClassVar[str] = "occlusion"
    parameter: ClassVar[str] = "share of the area"
    scale: ClassVar[tuple[float, float, float, float, float]] = (0.03, 0.07, 0.12, 0.2, 0.3)
    least_side: ClassVar[int] = 4

    def _changed(
        self, x: Tensor, strength: float, input_range: tuple[float, float], draw: Draw, /
    ) -> Tensor:
        place = draw.uniform(2, len(x), 1)
        covered = []
        for axis, length in enumerate(x.shape[2:]):
            patch = max(1, round(sqrt(strength) * length))
            first = (place[axis] * (length - patch + 1)).floor().clamp_(max=length - patch)
            distance = torch.arange(length, device=x.device) - first
            covered.append((distance >= 0) & (distance < patch))
        patch_mask = covered[0][:, None, :, None] & covered[1][:, None, None, :]
        return x.masked_fill(patch_mask, sum(input_range) / 2)
