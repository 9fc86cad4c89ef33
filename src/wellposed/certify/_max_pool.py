"""Max pooling of images."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d, pad, unfold

from wellposed.certify._convolution import Pair
from wellposed.certify._operation import Operation
from wellposed.certify._window import Window


@dataclass(frozen=True, eq=False)
class MaxPool(Operation):
    r"""The largest value of each window, with $-\infty$ in the padding.

    It lies above each value of its window, here the one with the largest lower bound, and below
    the largest upper bound; where that one's lower bound is above every other upper bound, it is
    that value.

    Args:
        before: Shape of the image that enters.
        kernel: Rows and columns.
        stride: Rows and columns.
        padding: Above and below, left and right.
        dilation: Rows and columns.
        ceil: Whether windows may reach beyond the border.
    """

    before: tuple[int, ...]
    kernel: Pair
    stride: Pair
    padding: Pair
    dilation: Pair = (1, 1)
    ceil: bool = False

    @property
    def overlap(self) -> int:
        """At most so many windows see one place."""
        axes = zip(self.kernel, self.stride, self.dilation, strict=True)
        return math.prod(-(-k // s) if d == 1 else k for k, s, d in axes)

    def apply(self, *values: Tensor) -> Tensor:
        """The largest value of each window."""
        return max_pool2d(
            values[0], self.kernel, self.stride, self.padding, self.dilation, self.ceil
        )

    def chosen(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        """The place in the flattened image that is taken for each window, and where it is it.

        Returns tensors of the shape of the value: numbers of the row times the width plus the
        column, and whether the value is known to be that of this place.
        """
        _, height, width = self.before
        sides = self._sides()
        _, best = max_pool2d(
            low, self.kernel, self.stride, self.padding, self.dilation, self.ceil,
            return_indices=True,
        )  # fmt: skip
        around = pad(high, sides, value=-torch.inf).flatten(0, 1)[:, None]
        windows = unfold(around, self.kernel, self.dilation, stride=self.stride)
        numbers = torch.arange(height * width, dtype=high.dtype).reshape(1, 1, height, width)
        named = unfold(
            pad(numbers, sides, value=-1.0), self.kernel, self.dilation, stride=self.stride
        )
        flat = best.flatten(0, 1).flatten(1)
        rivals = windows.masked_fill(named == flat[:, None], -torch.inf).amax(1)
        floor = low.flatten(0, 1).flatten(1).gather(1, flat)
        decided = (rivals <= floor).reshape(best.shape)
        return best, decided

    def route(self, window: Window, place: Tensor) -> Window:
        """Give each coefficient to the place that is taken for it.

        Args:
            window: Coefficients of the value, 0 beyond its border.
            place: Beside each of them, as `chosen` gives it; may have one row for all.
        """
        rows, h, w, channels = window.values.shape
        _, height, width = self.before
        corner = torch.zeros((1, 2), dtype=torch.long)
        if window.corner is not None:
            corner = window.corner * torch.tensor(self.stride) - torch.tensor(self.padding)
            height, width_here = self._reach(h, 0), self._reach(w, 1)
        else:
            width_here = width
        place = place.long()
        top, left = corner[:, :1, None, None], corner[:, 1:, None, None]
        local = (place // width - top) * width_here + (place % width - left)
        local = local.clamp(0, height * width_here - 1)  # beyond the border, where all are 0
        local = local.reshape(len(local), -1, channels).expand(rows, -1, -1)
        spread = window.values.new_zeros((rows, height * width_here, channels))
        spread = spread.scatter_add(1, local, window.values.reshape(rows, -1, channels))
        back = spread.reshape(rows, height, width_here, channels)
        return Window(back, None if window.corner is None else corner)

    def _reach(self, windows: int, axis: int) -> int:
        return (windows - 1) * self.stride[axis] + (self.kernel[axis] - 1) * self.dilation[axis] + 1

    def _sides(self) -> tuple[int, int, int, int]:
        """Left, right, above and below: the padding, and what windows need beyond it."""
        found: list[int] = []
        for axis in (1, 0):
            before = self.padding[axis]
            reach = self._reach(self.shape[1 + axis], axis)
            found += [before, max(reach - self.before[1 + axis] - before, 0)]
        return found[0], found[1], found[2], found[3]
