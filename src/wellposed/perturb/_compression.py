"""Compression by JPEG, as cameras and servers do it."""

from dataclasses import dataclass
from io import BytesIO
from typing import Any, ClassVar, final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from wellposed.errors import require
from wellposed.perturb._base import Draw, Perturbation


@final
@dataclass(frozen=True)
class Compression(Perturbation):
    """Write each image as a JPEG file and read it again, by Pillow's encoder.

    Values are rounded to the 256 levels that such a file has. Images have 1 channel (gray) or 3
    (red, green, blue).

    Args:
        severity: From 1 to 5: Pillow's quality 70, 40, 25, 15, 8; 0 changes no bit.
        seed: Not used, as nothing is random.
    """

    factor: ClassVar[str] = "compression"
    parameter: ClassVar[str] = "JPEG quality"
    scale: ClassVar[tuple[float, float, float, float, float]] = (70.0, 40.0, 25.0, 15.0, 8.0)

    def _changed(
        self, x: Tensor, strength: float, input_range: tuple[float, float], _draw: Draw, /
    ) -> Tensor:
        low, high = input_range
        channels = x.shape[1]
        require(
            channels in {1, 3},
            f"Compression writes images of 1 or 3 channels, got {channels}; leave it out for these",
        )
        levels = ((x - low) * (255 / (high - low))).round().clamp(0, 255).to(torch.uint8)
        pixels = levels.movedim(1, 3).cpu().numpy()
        read = np.stack([_round_trip(image, int(strength)) for image in pixels])
        return low + torch.from_numpy(read).to(x).movedim(3, 1) * ((high - low) / 255)


def _round_trip(pixels: NDArray[Any], quality: int) -> NDArray[np.uint8]:
    """An image (height, width, channels) after a JPEG file of this quality."""
    file = BytesIO()
    Image.fromarray(pixels.squeeze(2) if pixels.shape[2] == 1 else pixels).save(
        file, "JPEG", quality=quality
    )
    with Image.open(file, formats=("JPEG",)) as image:
        return np.asarray(image).reshape(pixels.shape)
