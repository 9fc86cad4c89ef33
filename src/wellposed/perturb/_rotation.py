"""Viewpoint: the object, or the camera, is turned."""

from dataclasses import dataclass
from math import radians
from typing import ClassVar, final

from jaxtyping import Float
from torch import Tensor

from wellposed.perturb._base import Draw, Perturbation
from wellposed.perturb._sampling import centers, sampled


@final
@dataclass(frozen=True)
class Rotation(Perturbation):
    """Turn each image about its center, one way or the other; what comes in repeats the border.

    Args:
        severity: From 1 to 5: 5, 10, 15, 25, 40 degrees; 0 changes no bit.
        seed: Of the ways, at least 0.
    """

    factor: ClassVar[str] = "viewpoint"
    parameter: ClassVar[str] = "degrees"
    scale: ClassVar[tuple[float, float, float, float, float]] = (5.0, 10.0, 15.0, 25.0, 40.0)
    least_side: ClassVar[int] = 4

    def _changed(
        self, x: Tensor, strength: float, _range: tuple[float, float], draw: Draw, /
    ) -> Tensor:
        return turned(x, radians(strength) * draw.sign(len(x)))


def turned(
    x: Float[Tensor, "batch channels height width"], angle: Float[Tensor, " batch"]
) -> Float[Tensor, "batch channels height width"]:
    """The images, turned counterclockwise by these angles in radians."""
    rows, columns = centers(x)
    sine, cosine = angle.sin()[:, None, None], angle.cos()[:, None, None]
    return sampled(x, cosine * rows + sine * columns, cosine * columns - sine * rows)
