"""Pictures of filters, as PNG."""

import math

from torch import nn

from wellposed.data import is_picture, png

_LIMIT = 64


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
