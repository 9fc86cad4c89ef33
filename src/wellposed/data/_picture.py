"""Inputs as pictures that a page can show."""

import io

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

_SMALLEST_SIDE = 64


def is_picture(shape: tuple[int, ...]) -> bool:
    """Whether inputs of this shape can be shown: (1 or 3, height, width)."""
    return len(shape) == 3 and shape[0] in {1, 3}


def png(
    picture: Float[Tensor, "channels height width"],
    low: float,
    high: float,
    largest: int | None = None,
) -> bytes:
    """The bytes of a PNG file of values from `low` (black) to `high` (white).

    Small pictures are enlarged, unsmoothed, until no side is below 64 pixels.

    Args:
        picture: 1 channel (gray) or 3 (red, green, blue).
        low: Of the values.
        high: Of the values.
        largest: Side in pixels to which larger pictures are reduced; None for any.
    """
    span = max(high - low, 1e-12)
    levels = ((picture.float() - low) / span).clamp(0, 1).mul(255).round().to(torch.uint8)
    array = levels.permute(1, 2, 0).cpu().numpy()
    image = Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)
    factor = -(-_SMALLEST_SIDE // min(image.size))
    if factor > 1:
        image = image.resize(
            (image.width * factor, image.height * factor), Image.Resampling.NEAREST
        )
    if largest is not None and max(image.size) > largest:
        image.thumbnail((largest, largest), Image.Resampling.BOX)
    file = io.BytesIO()
    image.save(file, format="PNG", optimize=True)
    return file.getvalue()
