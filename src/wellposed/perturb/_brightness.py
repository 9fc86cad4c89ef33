"""Illumination: more light, or less."""

from dataclasses import dataclass
from typing import ClassVar, final

from torch import Tensor

from wellposed.perturb._base import Draw, Perturbation


@final
@dataclass(frozen=True)
class Brightness(Perturbation):
    """Add one number to all pixels of an image, or take it away; what leaves the range is clipped.

    Args:
        severity: From 1 to 5: 0.08, 0.16, 0.24, 0.34, 0.45 of the input range; 0 changes no bit.
        seed: Of which of the two, at least 0.
    """

    factor: ClassVar[str] = "illumination"
    parameter: ClassVar[str] = "share of the range"
    scale: ClassVar[tuple[float, float, float, float, float]] = (0.08, 0.16, 0.24, 0.34, 0.45)

    def _changed(
        self, x: Tensor, strength: float, input_range: tuple[float, float], draw: Draw, /
    ) -> Tensor:
        low, high = input_range
        return x + strength * (high - low) * draw.sign(len(x), 1, 1, 1)
