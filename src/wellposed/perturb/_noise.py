"""Noise of a sensor in little light."""

from dataclasses import dataclass
from typing import ClassVar, final

from torch import Tensor

from wellposed.perturb._base import Draw, Perturbation


@final
@dataclass(frozen=True)
class Noise(Perturbation):
    """Add an independent Gaussian number to each value; what leaves the range is clipped.

    Args:
        severity: From 1 to 5: standard deviations of 0.03, 0.06, 0.1, 0.15, 0.22 of the range; 0
            changes no bit.
        seed: Of the numbers, at least 0.
    """

    factor: ClassVar[str] = "noise"
    parameter: ClassVar[str] = "deviation as a share of the range"
    scale: ClassVar[tuple[float, float, float, float, float]] = (0.03, 0.06, 0.1, 0.15, 0.22)

    def _changed(
        self, x: Tensor, strength: float, input_range: tuple[float, float], draw: Draw, /
    ) -> Tensor:
        low, high = input_range
        return x + strength * (high - low) * draw.normal(*x.shape)
