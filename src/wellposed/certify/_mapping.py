"""Affine maps that torch has a function for, and that need no more than this function."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from wellposed.certify._operation import Affine, Shape
from wellposed.certify._window import Window, channels_first, channels_last

Function = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Mapping(Affine):
    """A linear function of a batch, and an offset; transposed by its derivative.

    Args:
        before: Shape of the value that enters.
        function: Linear, example by example, in the type of its argument.
        positive: The function with the absolute values of its matrix.
        bias: Broadcasts to the shape, or None.
        terms: At most so many summands make one value.
        back: And at most so many one coefficient of the transposed map.
    """

    before: Shape
    function: Function
    positive: Function
    bias: Tensor | None
    terms: int
    back: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "roundings", self.terms + 4)  # and a few factors
        object.__setattr__(self, "fan", max(self.terms, self.back))

    def apply(self, *values: Tensor) -> Tensor:
        """The function and the offset."""
        [value] = values
        found = self.function(value)
        return found if self.bias is None else found + self.bias.to(value)

    def absolute(self, *values: Tensor) -> Tensor:
        """The function with absolute values."""
        return self.positive(values[0])

    def offset(self) -> Tensor | None:
        """The bias."""
        return self.bias

    def transpose(self, window: Window) -> list[Window]:
        """The derivative, taken back."""
        values = channels_first(window.whole(self.shape).values)
        kept = values.requires_grad and torch.is_grad_enabled()
        back = transposed(self.function, values, self.before, kept=kept)
        return [Window(channels_last(back))]

    def stretch(self) -> float:
        r"""At least the largest singular value: $\sqrt{\|A\|_1 \|A\|_\infty}$."""
        one = torch.ones((1, *self.before), dtype=torch.float64)
        rows = float(self.positive(one).max())
        columns = transposed(self.positive, torch.ones((1, *self.shape)).double(), self.before)
        return math.sqrt(rows * float(columns.max())) * (1 + 1e-12 * (self.terms + self.back))


def transposed(function: Function, values: Tensor, before: Shape, *, kept: bool = False) -> Tensor:
    """The product of values with the matrix of a linear function.

    Args:
        function: From batches of `before` to batches like the values.
        values: A batch.
        before: Shape of one example that enters.
        kept: Whether the result may be differentiated by the values.
    """
    with torch.enable_grad():
        at = values.new_zeros((len(values), *before)).requires_grad_()
        [back] = torch.autograd.grad(function(at), at, values, create_graph=kept)
    return back
