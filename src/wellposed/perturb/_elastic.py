"""Deformation: the image is on rubber."""

from dataclasses import dataclass
from typing import ClassVar, final

from jaxtyping import Float
from torch import Tensor

from wellposed.perturb._base import Draw, Perturbation
from wellposed.perturb._gaussian import gaussian
from wellposed.perturb._sampling import centers, sampled

_SMOOTHNESS = 0.12  # of the side: waves as long as a sleeve or a wheel


@final
@dataclass(frozen=True)
class Elastic(Perturbation):
    """Displace each pixel by a smooth random field.

    White noise is smoothed by a Gaussian whose standard deviation is 0.12 of the shorter side,
    and scaled so that the displacement along each axis has the stated root mean square.

    Args:
        severity: From 1 to 5: root mean square displacements of 0.01, 0.02, 0.03, 0.045, 0.065
            of the shorter side; 0 changes no bit.
        seed: Of the fields, at least 0.

    References:
        Simard, Steinkraus and Platt, Best practices for convolutional neural networks applied to
        visual document analysis, 2003.
    """

    factor: ClassVar[str] = "deformation"
    parameter: ClassVar[str] = "displacement as a share of the side"
    scale: ClassVar[tuple[float, float, float, float, float]] = (0.01, 0.02, 0.03, 0.045, 0.065)
    least_side: ClassVar[int] = 8

    def _changed(
        self, x: Tensor, strength: float, _range: tuple[float, float], draw: Draw, /
    ) -> Tensor:
        n, _, height, width = x.shape
        side = min(height, width)
        noise = draw.normal(2, n, height, width)
        down, across = (_unit_smoothing(x, length, side) for length in (height, width))
        field = strength * side * (down @ noise @ across.T)
        return displaced(x, field[0], field[1])


def displaced(
    x: Float[Tensor, "batch channels height width"],
    down: Float[Tensor, "batch height width"],
    across: Float[Tensor, "batch height width"],
) -> Float[Tensor, "batch channels height width"]:
    """The images, each pixel read this far from its place."""
    rows, columns = centers(x)
    return sampled(x, rows + down, columns + across)


def _unit_smoothing(like: Tensor, length: int, side: int) -> Tensor:
    """Rows of unit Euclidean norm: unit noise stays of unit variance, also at the border."""
    smoothing = gaussian(like, length, _SMOOTHNESS * side)
    unit: Tensor = smoothing / smoothing.norm(dim=1, keepdim=True)
    return unit
