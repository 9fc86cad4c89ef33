"""Pictures of inputs and of filters, as PNG."""

import io
import math

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor, nn

_SMALLEST_SIDE = 64
_LIMIT = 64


def is_picture(shape: tuple[int, ...]) -> bool:
    """Whether inputs of this shape can be shown: (1 or 3, height, width)."""
    return len(shape) == 3 and shape[0] in {1, 3}


def png(picture: Float[Tensor, "channels height width"], low: float, high: float) -> bytes:
    """A PNG of values from `low` (black) to `high` (white); small ones are enlarged, unsmoothed."""
    span = max(high - low, 1e-12)
    levels = ((picture.float() - low) / span).clamp(0, 1).mul(255).round().to(torch.uint8)
    array = levels.permute(1, 2, 0).cpu().numpy()
    image = Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)
    factor = -(-_SMALLEST_SIDE // min(image.size))
    if factor > 1:
        image = image.resize(
            (image.width * factor, image.height * factor), Image.Resampling.NEAREST
        )
    file = io.BytesIO()
    image.save(file, format="PNG", optimize=True)
    return file.getvalue()


def first_layer(model: nn.Module, shape: tuple[int, ...]) -> list[bytes]:
    """The weights of the first layer as pictures of inputs, at most 64; [] where they are none.

    Filters of a convolution are shown as they are; rows of a dense layer over pictures are put
    into the pictures' shape. Gray is zero, and all are on one scale.
    """
    weights = next((p for p in model.parameters() if p.dim() >= 2), None)
    if weights is None:
        return []
    filters = weights.detach().float()[:_LIMIT]
    if filters.dim() == 2 and is_picture(shape) and filters.shape[1] == math.prod(shape):
        filters = filters.view(-1, *shape)
    if filters.dim() != 4 or not is_picture(tuple(filters.shape[1:])):
        return []
    scale = max(float(filters.abs().max()), 1e-12)
    return [png(f, -scale, scale) for f in filters]
