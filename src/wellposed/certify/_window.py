"""Coefficients over the places of one layer that a row can see, the others being zero."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.nn.functional import pad


@final
@dataclass(frozen=True, slots=True)
class Window:
    """Rows of coefficients of the values of one layer.

    Images are kept with their channels last, (height, width, channels), so that a place is a
    contiguous piece; other shapes as they are. A row of a convolution's output sees a few places
    only: then the window holds those, from its own corner on. Places beyond the border of the
    layer, which padding made, have coefficient 0.

    Args:
        values: Shape (rows, *layer), or (rows, h, w, channels) of a part of an image.
        corner: First row and column of each part, shape (rows, 2); None for all places.
    """

    values: Tensor
    corner: Tensor | None = None

    def places(self, height: int, width: int) -> Tensor:
        """Of each coefficient the place in the flattened image, or height * width beyond it."""
        assert self.corner is not None
        _, h, w, _ = self.values.shape
        rows = self.corner[:, 0, None] + torch.arange(h)
        columns = self.corner[:, 1, None] + torch.arange(w)
        inside = ((rows >= 0) & (rows < height))[:, :, None]
        inside = inside & ((columns >= 0) & (columns < width))[:, None, :]
        flat = rows[:, :, None] * width + columns[:, None, :]
        return torch.where(inside, flat, height * width)

    def whole(self, shape: tuple[int, ...]) -> "Window":
        """The same coefficients, over all places of a layer of this shape."""
        if self.corner is None:
            return self
        channels, height, width = shape
        rows = len(self.values)
        places = self.places(height, width).reshape(rows, -1, 1).expand(-1, -1, channels)
        spread = self.values.new_zeros((rows, height * width + 1, channels))
        spread = spread.scatter(1, places, self.values.reshape(rows, -1, channels))
        return Window(spread[:, :-1].reshape(rows, height, width, channels))

    def without_padding(self, shape: tuple[int, ...]) -> "Window":
        """The same, with 0 at the places beyond the border."""
        if self.corner is None:
            return self
        beyond = self.places(*shape[1:]) == shape[1] * shape[2]
        return Window(self.values.masked_fill(beyond[..., None], 0.0), self.corner)

    def plus(self, other: "Window", shape: tuple[int, ...]) -> "Window":
        """The sum of two windows on the same layer."""
        if self.corner is None or other.corner is None:
            return Window(self.whole(shape).values + other.whole(shape).values)
        apart = other.corner - self.corner
        if not (apart == apart[0]).all():
            return Window(self.whole(shape).values + other.whole(shape).values)
        start = torch.minimum(apart[0], torch.zeros_like(apart[0]))
        sizes = [torch.tensor(window.values.shape[1:3]) for window in (self, other)]
        end = torch.maximum(sizes[0], apart[0] + sizes[1])
        first = _grown(self.values, -start, end - sizes[0])
        second = _grown(other.values, apart[0] - start, end - apart[0] - sizes[1])
        return Window(first + second, self.corner + start)


def _grown(values: Tensor, before: Tensor, after: Tensor) -> Tensor:
    (top, left), (bottom, right) = before.tolist(), after.tolist()
    return pad(values, (0, 0, left, right, top, bottom))


def channels_last(values: Tensor) -> Tensor:
    """From (batch, channels, height, width) to channels last; other shapes as they are."""
    return values.permute(0, 2, 3, 1) if values.dim() == 4 else values


def channels_first(values: Tensor) -> Tensor:
    """The inverse of `channels_last`."""
    return values.permute(0, 3, 1, 2) if values.dim() == 4 else values
