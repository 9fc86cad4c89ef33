"""Blur of a camera out of focus."""

from dataclasses import dataclass
from typing import ClassVar, final

from jaxtyping import Float
from torch import Tensor

from wellposed.perturb._base import Draw, Perturbation
from wellposed.perturb._gaussian import gaussian


@final
@dataclass(frozen=True)
class Blur(Perturbation):
    """Smooth each image by a Gaussian, its border repeated.

    Args:
        severity: From 1 to 5: standard deviations of 0.015, 0.025, 0.037, 0.055, 0.08 of the
            shorter side; 0 changes no bit.
        seed: Not used, as nothing is random.
    """

    factor: ClassVar[str] = "blur"
    parameter: ClassVar[str] = "deviation as a share of the side"
    scale: ClassVar[tuple[float, float, float, float, float]] = (0.015, 0.025, 0.037, 0.055, 0.08)
    least_side: ClassVar[int] = 4

    def _changed(
        self, x: Tensor, strength: float, _range: tuple[float, float], _draw: Draw, /
    ) -> Tensor:
        return smoothed(x, strength * min(x.shape[2:]))


def smoothed(
    x: Float[Tensor, "batch channels height width"], deviation: float
) -> Float[Tensor, "batch channels height width"]:
    """The images under a Gaussian of this standard deviation in pixels, above 0."""
    height, width = x.shape[2:]
    return gaussian(x, height, deviation) @ x @ gaussian(x, width, deviation).T
