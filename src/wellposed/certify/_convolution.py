"""Convolutions and average pooling of images, with stride, padding, dilation and groups."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import conv2d, conv_transpose2d, pad

from wellposed.certify._operation import Affine
from wellposed.certify._window import Window, channels_first, channels_last

Pair = tuple[int, int]

_CACHED = 2**18  # numbers of one product, so that they are still at hand when they are added


@dataclass(frozen=True, eq=False)
class Convolution(Affine):
    """A convolution of images as an affine map.

    Args:
        weight: Shape (channels out, channels in / groups, height, width).
        bias: One for each channel out, or None.
        before: Shape of the image that enters.
        stride: Rows and columns.
        padding: Zeros above and below, left and right.
        dilation: Rows and columns.
        groups: Of channels that meet only each other.
    """

    weight: Tensor
    bias: Tensor | None
    before: tuple[int, ...]
    stride: Pair
    padding: Pair
    dilation: Pair
    groups: int

    def __post_init__(self) -> None:
        out, into, height, width = self.weight.shape
        object.__setattr__(self, "roundings", into * height * width + 1)
        object.__setattr__(self, "fan", max(into, out // self.groups) * height * width)

    def apply(self, *values: Tensor) -> Tensor:
        """The convolution."""
        return self._convolve(values[0], self.weight, self.bias)

    def absolute(self, *values: Tensor) -> Tensor:
        """The convolution with absolute weights."""
        return self._convolve(values[0], self.weight.abs(), None)

    def offset(self) -> Tensor | None:
        """The bias of each channel."""
        return None if self.bias is None else self.bias[:, None, None]

    def transpose(self, window: Window) -> list[Window]:
        """The transposed convolution: of the part that the window shows, or of the image."""
        values = window.values
        spread = self._differentiable(values) if values.requires_grad else self._spread(values)
        (py, px), (_, high, wide) = self.padding, self.before
        if window.corner is None:
            height, width = spread.shape[1:3]
            sides = (0, 0, -px, wide + px - width, -py, high + py - height)
            return [Window(pad(spread, sides))]
        corner = window.corner * torch.tensor(self.stride) - torch.tensor(self.padding)
        return [Window(spread, corner)]

    def rows(self, neurons: Tensor) -> list[Window] | None:
        """The weights of each neuron's channel, where the neuron is."""
        if self.groups != 1:
            return None
        _, height, width = self.shape
        channel, place = neurons // (height * width), neurons % (height * width)
        last = self.weight.permute(0, 2, 3, 1)
        (dy, dx), (kh, kw) = self.dilation, last.shape[1:3]
        sides = ((kh - 1) * dy + 1, (kw - 1) * dx + 1)
        spread = last.new_zeros((len(last), *sides, last.shape[3]))
        spread[:, ::dy, ::dx] = last
        corner = torch.stack([place // width, place % width], 1)
        corner = corner * torch.tensor(self.stride) - torch.tensor(self.padding)
        return [Window(spread[channel], corner)]

    def _convolve(self, value: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        bias = None if bias is None else bias.to(value)
        return conv2d(
            value, weight.to(value), bias, self.stride, self.padding, self.dilation, self.groups
        )

    def _spread(self, values: Tensor) -> Tensor:
        """The transposed convolution without padding: one matrix product, and shifted sums."""
        rows, h, w, _ = values.shape
        (sy, sx), (dy, dx) = self.stride, self.dilation
        spread = values.new_zeros((rows, self._reach(h, 0), self._reach(w, 1), self.before[0]))
        _, into, kh, kw = self.weight.shape
        length = max(1, _CACHED // (h * w * self.groups * into * kh * kw))
        for piece, to in zip(values.split(length), spread.split(length), strict=True):
            for (y, x), part in self._parts(piece):
                top, left = y * dy, x * dx
                bottom, right = top + (h - 1) * sy + 1, left + (w - 1) * sx + 1
                to[:, top:bottom:sy, left:right:sx] += part
        return spread

    def _differentiable(self, values: Tensor) -> Tensor:
        """The same, where the gradient is wanted: shifted sums in place would record each shift."""
        first, weight = channels_first(values), self.weight.to(values)
        spread = conv_transpose2d(
            first, weight, None, self.stride, groups=self.groups, dilation=self.dilation
        )
        return channels_last(spread)

    def _reach(self, length: int, axis: int) -> int:
        kernel = self.weight.shape[2 + axis]
        return (length - 1) * self.stride[axis] + (kernel - 1) * self.dilation[axis] + 1

    def _parts(self, values: Tensor) -> list[tuple[Pair, Tensor]]:
        """What each place of the kernel carries back, in the order of the kernel."""
        out, into, kh, kw = self.weight.shape
        rows, h, w, _ = values.shape
        places = [(y, x) for y in range(kh) for x in range(kw)]
        weight = self.weight.to(values)
        if into == 1 and out == self.groups:
            return [((y, x), values * weight[:, 0, y, x]) for y, x in places]
        flat = values.reshape(rows * h * w, self.groups, out // self.groups)
        matrix = weight.reshape(self.groups, out // self.groups, into, kh * kw)
        matrix = matrix.permute(0, 1, 3, 2).reshape(self.groups, out // self.groups, -1)
        if self.groups == 1:
            carried = (flat[:, 0] @ matrix[0]).reshape(rows, h, w, kh * kw, into)
            return [(place, carried[..., i, :]) for i, place in enumerate(places)]
        carried = torch.einsum("ngo,gok->ngk", flat, matrix)
        carried = carried.reshape(rows, h, w, self.groups, kh * kw, into)
        return [
            (place, carried[..., i, :].reshape(rows, h, w, -1)) for i, place in enumerate(places)
        ]


def average_pool(
    inputs: tuple[int, ...],
    before: tuple[int, ...],
    after: tuple[int, ...],
    kernel: Pair,
    stride: Pair,
    padding: Pair,
) -> Convolution:
    """Average pooling, zeros of the padding counted, as a convolution of each channel alone."""
    share = torch.full((before[0], 1, *kernel), 1 / (kernel[0] * kernel[1]), dtype=torch.float64)
    return Convolution(inputs, after, share, None, before, stride, padding, (1, 1), before[0])
