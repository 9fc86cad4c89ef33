"""Augmentations that sample the image at moved positions."""

from dataclasses import dataclass
from math import radians
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from wellposed.data._augmentation import Augmentation, require_images
from wellposed.errors import require
from wellposed.perturb._sampling import centers, sampled


@final
@dataclass(frozen=True)
class Rotation(Augmentation):
    """Turn each image about its center; what comes in repeats the border.

    Args:
        degrees: At most this far, either way, every angle equally likely; in [0, 180].
    """

    degrees: float = 10.0

    def __post_init__(self) -> None:
        fine = 0 <= self.degrees <= 180
        require(fine, f"Rotation needs degrees in [0, 180], got degrees={self.degrees:g}")

    def __call__(
        self, inputs: Float[Tensor, "batch ..."], generator: torch.Generator
    ) -> Float[Tensor, "batch ..."]:
        """The batch, turned."""
        require_images(self, inputs)
        draw = torch.rand(len(inputs), 1, 1, generator=generator, device=inputs.device)
        angle = (2 * draw - 1) * radians(self.degrees)
        y, x = centers(inputs.float())
        sine, cosine = angle.sin(), angle.cos()
        return _read(inputs, cosine * y - sine * x, sine * y + cosine * x)


@final
@dataclass(frozen=True)
class Elastic(Augmentation):
    r"""Displace each pixel by a smooth random field, as if the image were on rubber.

    White noise is smoothed by a Gaussian and scaled to the stated displacement, which holds at
    every pixel, also at the border.

    Args:
        pixels: Root mean square displacement along each axis, at least 0.
        smoothness: Standard deviation of the Gaussian in pixels, above 0: small values crumple,
            large ones shift.

    References:
        Simard, Steinkraus and Platt, Best practices for convolutional neural networks applied to
        visual document analysis, 2003.
    """

    pixels: float = 1.0
    smoothness: float = 4.0

    def __post_init__(self) -> None:
        require(self.pixels >= 0, f"Elastic needs pixels >= 0, got pixels={self.pixels:g}")
        fine = 0 < self.smoothness <= 100
        require(fine, f"Elastic needs a smoothness in (0, 100], got {self.smoothness:g}")

    def __call__(
        self, inputs: Float[Tensor, "batch ..."], generator: torch.Generator
    ) -> Float[Tensor, "batch ..."]:
        """The batch, deformed."""
        require_images(self, inputs)
        n, _, height, width = inputs.shape
        noise = torch.randn(2, n, height, width, generator=generator, device=inputs.device)
        down, across = (self._smoothing(length, inputs.device) for length in (height, width))
        field = self.pixels * (down @ noise @ across.T)
        y, x = centers(inputs.float())
        return _read(inputs, y + field[0], x + field[1])

    def _smoothing(self, length: int, device: torch.device) -> Tensor:
        """A Gaussian per row, of unit Euclidean norm: unit noise stays of unit variance."""
        at = torch.arange(length, device=device, dtype=torch.float32)
        rows = torch.exp(-0.5 * ((at[:, None] - at) / self.smoothness) ** 2)
        smoothing: Tensor = rows / rows.norm(dim=1, keepdim=True)
        return smoothing


def _read(inputs: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """The images at these positions, in the type that they have."""
    return sampled(inputs.float(), rows, columns).to(inputs.dtype)
