"""Illumination: light from one side."""

from dataclasses import dataclass
from math import pi
from typing import ClassVar, final

from torch import Tensor

from wellposed.perturb._base import Draw, Perturbation
from wellposed.perturb._sampling import centers


@final
@dataclass(frozen=True)
class Lighting(Perturbation):
    """Darken each image linearly from one side to the other, along a random direction.

    Values above the least of the range are multiplied by a factor that falls from 1, at the
    lightest corner of the image, to 1 minus the strength at the darkest.

    Args:
        severity: From 1 to 5: 0.3, 0.5, 0.65, 0.8, 0.95 of the light is lost; 0 changes no bit.
        seed: Of the directions, at least 0.
    """

    factor: ClassVar[str] = "illumination"
    parameter: ClassVar[str] = "light lost at the dark side"
    scale: ClassVar[tuple[float, float, float, float, float]] = (0.3, 0.5, 0.65, 0.8, 0.95)
    least_side: ClassVar[int] = 2

    def _changed(
        self, x: Tensor, strength: float, input_range: tuple[float, float], draw: Draw, /
    ) -> Tensor:
        low, _ = input_range
        angle = 2 * pi * draw.uniform(len(x), 1, 1)
        rows, columns = centers(x)
        depth = angle.sin() * rows + angle.cos() * columns
        depth = depth - depth.amin((1, 2), keepdim=True)
        depth = depth / depth.amax((1, 2), keepdim=True)
        return low + (x - low) * (1 - strength * depth)[:, None]
