"""Max pooling of images."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d, pad, unfold

from wellposed.certify._convolution import Pair
from wellposed.certify._operation import Operation


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
    """

    before: tuple[int, ...]
    kernel: Pair
    stride: Pair
    padding: Pair

    def apply(self, *values: Tensor) -> Tensor:
        """The largest value of each window."""
        return max_pool2d(values[0], self.kernel, self.stride, self.padding)

    def chosen(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        """The place in the flattened image that is taken for each window, and where it is it.

        Returns tensors of the shape of the value: numbers of the row times the width plus the
        column, and whether the value is known to be that of this place.
        """
        _, height, width = self.before
        py, px = self.padding
        _, best = max_pool2d(low, self.kernel, self.stride, self.padding, return_indices=True)
        windows = unfold(
            pad(high, (px, px, py, py), value=-torch.inf).flatten(0, 1)[:, None],
            self.kernel,
            stride=self.stride,
        )
        numbers = torch.arange(height * width, dtype=high.dtype).reshape(1, 1, height, width)
        named = unfold(pad(numbers, (px, px, py, py), value=-1.0), self.kernel, stride=self.stride)
        flat = best.flatten(0, 1).flatten(1)
        rivals = windows.masked_fill(named == flat[:, None], -torch.inf).amax(1)
        floor = low.flatten(0, 1).flatten(1).gather(1, flat)
        decided = (rivals <= floor).reshape(best.shape)
        return best, decided
