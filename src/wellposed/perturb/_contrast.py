"""Illumination: flat light."""

from dataclasses import dataclass
from typing import ClassVar, final

from torch import Tensor

from wellposed.perturb._base import Draw, Perturbation


@final
@dataclass(frozen=True)
class Contrast(Perturbation):
    r"""$x \mapsto m + c\,(x - m)$ with the mean $m$ of each image: it fades to gray.

    Args:
        severity: From 1 to 5: c = 0.75, 0.55, 0.4, 0.25, 0.15; 0 changes no bit.
        seed: Not used, as nothing is random.
    """

    factor: ClassVar[str] = "illumination"
    parameter: ClassVar[str] = "contrast left"
    scale: ClassVar[tuple[float, float, float, float, float]] = (0.75, 0.55, 0.4, 0.25, 0.15)

    def _changed(
        self, x: Tensor, strength: float, _range: tuple[float, float], _draw: Draw, /
    ) -> Tensor:
        mean = x.mean((1, 2, 3), keepdim=True)
        return mean + strength * (x - mean)
