"""Viewpoint: the object is nearer or farther away."""

from dataclasses import dataclass
from typing import ClassVar, final

from jaxtyping import Float
from torch import Tensor

from wellposed.perturb._base import Draw, Perturbation
from wellposed.perturb._sampling import centers, sampled


@final
@dataclass(frozen=True)
class Scale(Perturbation):
    """Magnify or shrink each image about its center; what comes in repeats the border.

    Args:
        severity: From 1 to 5: a factor of 1.06, 1.12, 1.2, 1.35, 1.55, or one over it; 0 changes
            no bit.
        seed: Of which of the two, at least 0.
    """

    factor: ClassVar[str] = "viewpoint"
    parameter: ClassVar[str] = "factor"
    scale: ClassVar[tuple[float, float, float, float, float]] = (1.06, 1.12, 1.2, 1.35, 1.55)
    least_side: ClassVar[int] = 4

    def _changed(
        self, x: Tensor, strength: float, _range: tuple[float, float], draw: Draw, /
    ) -> Tensor:
        return magnified(x, strength ** draw.sign(len(x)))


def magnified(
    x: Float[Tensor, "batch channels height width"], by: Float[Tensor, " batch"]
) -> Float[Tensor, "batch channels height width"]:
    """The images, larger by these factors."""
    rows, columns = centers(x)
    inverse = (1 / by)[:, None, None]
    flat = 0 * inverse * rows * columns
    return sampled(x, inverse * rows + flat, inverse * columns + flat)
