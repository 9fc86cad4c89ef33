"""Random changes of whole image batches that leave their meaning alone."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from wellposed.errors import require


class Augmentation(ABC):
    """A random change of a batch of images, each image by its own draw.

    A subclass is a frozen dataclass whose fields are its strengths. All randomness comes from the
    generator it is handed, so that equal generators give equal bits; nothing global is read or
    advanced. (Libraries that draw from torch's global generator cannot resume bitwise.)
    """

    @abstractmethod
    def __call__(
        self, inputs: Float[Tensor, "batch ..."], generator: torch.Generator
    ) -> Float[Tensor, "batch ..."]:
        """The changed batch, a new tensor of the same shape and type on the same device."""


@final
@dataclass(frozen=True)
class Shift(Augmentation):
    """Move each image by a whole number of pixels; what comes in repeats the border.

    Args:
        pixels: At most this far, in each direction and axis, every distance equally likely.
    """

    pixels: int = 1

    def __post_init__(self) -> None:
        require(self.pixels >= 0, f"Shift needs pixels >= 0, got pixels={self.pixels}")

    def __call__(
        self, inputs: Float[Tensor, "batch ..."], generator: torch.Generator
    ) -> Float[Tensor, "batch ..."]:
        """The batch, shifted."""
        require_images(self, inputs)
        n, channels, height, width = inputs.shape
        span = 2 * self.pixels + 1
        by = torch.randint(span, (2, n, 1), generator=generator, device=inputs.device) - self.pixels
        rows = (torch.arange(height, device=inputs.device) + by[0]).clamp_(0, height - 1)
        columns = (torch.arange(width, device=inputs.device) + by[1]).clamp_(0, width - 1)
        at = (rows[:, :, None] * width + columns[:, None, :]).view(n, 1, -1)
        return inputs.flatten(2).gather(2, at.expand(-1, channels, -1)).view(inputs.shape)


@final
@dataclass(frozen=True)
class Flip(Augmentation):
    """Mirror each image left to right with some probability.

    Args:
        probability: Of being mirrored, in [0, 1].
    """

    probability: float = 0.5

    def __post_init__(self) -> None:
        fine = 0 <= self.probability <= 1
        require(fine, f"Flip needs a probability in [0, 1], got probability={self.probability:g}")

    def __call__(
        self, inputs: Float[Tensor, "batch ..."], generator: torch.Generator
    ) -> Float[Tensor, "batch ..."]:
        """The batch, some of it mirrored."""
        require_images(self, inputs)
        draw = torch.rand(len(inputs), 1, 1, 1, generator=generator, device=inputs.device)
        return torch.where(draw < self.probability, inputs.flip(3), inputs)


@final
@dataclass(frozen=True)
class Cutout(Augmentation):
    """Set a square of each image to zero, which is the mean of standardized inputs.

    The square's center is uniform over the image, so that part of it may lie outside.

    Args:
        size: Side of the square in pixels, at least 1.

    References:
        DeVries and Taylor, Improved regularization of convolutional neural networks with cutout,
        2017, arXiv:1708.04552.
    """

    size: int = 8

    def __post_init__(self) -> None:
        require(self.size >= 1, f"Cutout needs a size of at least 1 pixel, got size={self.size}")

    def __call__(
        self, inputs: Float[Tensor, "batch ..."], generator: torch.Generator
    ) -> Float[Tensor, "batch ..."]:
        """The batch with holes."""
        require_images(self, inputs)
        inside = []
        for length in inputs.shape[2:]:
            shape = (len(inputs), 1)
            center = torch.randint(length, shape, generator=generator, device=inputs.device)
            distance = torch.arange(length, device=inputs.device) - (center - self.size // 2)
            inside.append((distance >= 0) & (distance < self.size))
        hole = inside[0][:, None, :, None] & inside[1][:, None, None, :]
        return inputs.masked_fill(hole, 0)


def require_images(augmentation: Augmentation, inputs: Tensor) -> None:
    """Refuse what is no batch of images."""
    require(
        inputs.dim() == 4,
        f"{type(augmentation).__name__} changes images of shape (batch, channels, height, width), "
        f"got shape {tuple(inputs.shape)}; leave it out for feature vectors",
    )
