"""Blur of something that moved while the picture was taken."""

from dataclasses import dataclass
from math import ceil, pi
from typing import ClassVar, final

from jaxtyping import Float
from torch import Tensor, zeros_like

from wellposed.perturb._base import Draw, Perturbation
from wellposed.perturb._sampling import centers, sampled

_FINEST = 64  # pieces of a line as long as the shorter side


@final
@dataclass(frozen=True)
class MotionBlur(Perturbation):
    """Average each image along a straight line of random direction, its border repeated.

    Args:
        severity: From 1 to 5: lines of 0.05, 0.08, 0.12, 0.17, 0.24 of the shorter side; 0
            changes no bit.
        seed: Of the directions, at least 0.
    """

    factor: ClassVar[str] = "blur"
    parameter: ClassVar[str] = "length as a share of the side"
    scale: ClassVar[tuple[float, float, float, float, float]] = (0.05, 0.08, 0.12, 0.17, 0.24)
    least_side: ClassVar[int] = 8

    def _changed(
        self, x: Tensor, strength: float, _range: tuple[float, float], draw: Draw, /
    ) -> Tensor:
        return moved(x, strength * min(x.shape[2:]), pi * draw.uniform(len(x)))


def moved(
    x: Float[Tensor, "batch channels height width"],
    length: float,
    angle: Float[Tensor, " batch"],
) -> Float[Tensor, "batch channels height width"]:
    """The mean over a line of this length in pixels: midpoints of pieces of at most a pixel.

    In images above 64 pixels a side, pieces are of at most 1/64 of the shorter side.
    """
    pieces = ceil(length / max(1.0, min(x.shape[2:]) / _FINEST))
    rows, columns = centers(x)
    sine, cosine = angle.sin()[:, None, None], angle.cos()[:, None, None]
    flat = 0 * rows * columns
    total = zeros_like(x)
    for piece in range(pieces):
        at = length * ((piece + 0.5) / pieces - 0.5)
        total += sampled(x, rows + at * sine + flat, columns + at * cosine + flat)
    return total / pieces
