"""Smoothing by a Gaussian along one axis, as a matrix."""

import torch
from jaxtyping import Float
from torch import Tensor

_CUT = 4.0  # standard deviations, beyond which weights are below 4e-4 of the middle one


def gaussian(like: Tensor, length: int, deviation: float) -> Float[Tensor, "length length"]:
    """The matrix that smooths a line of pixels whose ends repeat; rows sum to 1.

    Args:
        like: Of the dtype and device wanted.
        length: Of the line.
        deviation: Of the Gaussian, in pixels, above 0.
    """
    reach = int(_CUT * deviation + 0.5)
    offset = torch.arange(-reach, reach + 1)
    weight = torch.exp(-0.5 * (offset.double() / deviation) ** 2)
    at = (torch.arange(length)[:, None] + offset).clamp_(0, length - 1)
    matrix = torch.zeros(length, length, dtype=torch.float64)
    return matrix.scatter_add_(1, at, (weight / weight.sum()).expand(length, -1)).to(like)
