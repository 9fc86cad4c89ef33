"""Images read between their pixels, at moved positions."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import grid_sample


def centers(x: Float[Tensor, "batch channels height width"]) -> tuple[Tensor, Tensor]:
    """Rows (height, 1) and columns (1, width) of the pixels, counted from the image's center."""
    height, width = x.shape[2:]
    rows = torch.arange(height, device=x.device, dtype=x.dtype) - (height - 1) / 2
    columns = torch.arange(width, device=x.device, dtype=x.dtype) - (width - 1) / 2
    return rows[:, None], columns[None, :]


def sampled(
    x: Float[Tensor, "batch channels height width"],
    rows: Float[Tensor, "batch height width"],
    columns: Float[Tensor, "batch height width"],
) -> Float[Tensor, "batch channels height width"]:
    """The images at these positions, counted from the center, bilinearly between pixels.

    What lies outside repeats the border.
    """
    height, width = x.shape[2:]
    grid = torch.stack([2 * columns / width, 2 * rows / height], dim=3)
    read: Tensor = grid_sample(x, grid, "bilinear", "border", align_corners=False)
    return read
