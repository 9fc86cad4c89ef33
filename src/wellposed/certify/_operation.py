"""What a network is made of here: operations with a shape, and those that are affine."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from math import prod

import torch
from torch import Tensor

from wellposed.certify._window import Window, channels_first, channels_last

Shape = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Operation(ABC):
    """One step of a network, on batches; the first axis is the batch.

    Args:
        inputs: Numbers of the operations whose values it takes.
        shape: Of its value for one example.
    """

    inputs: tuple[int, ...]
    shape: Shape

    @abstractmethod
    def apply(self, *values: Tensor) -> Tensor:
        """Its value, in the type of the arguments."""


@dataclass(frozen=True, eq=False)
class Input(Operation):
    """The network's input."""

    def apply(self, *values: Tensor) -> Tensor:
        """The argument."""
        [value] = values
        return value


@dataclass(frozen=True, eq=False)
class Affine(Operation):
    """A matrix and an offset; where several values enter, the matrices stand side by side."""

    roundings: int = field(init=False, default=0)
    """Of how many roundings the error of the program's value consists, relative to `absolute`."""
    fan: int = field(init=False, default=1)
    """The longest sum in a product with the matrix or with its transpose."""

    @abstractmethod
    def absolute(self, *values: Tensor) -> Tensor:
        """The product of the matrix of absolute values with values that are not negative."""

    @abstractmethod
    def transpose(self, window: Window) -> list[Window]:
        """Coefficients of the values that enter, from those of the value that leaves."""

    def offset(self) -> Tensor | None:
        """What it adds, in its shape or broadcasting to it; None for nothing."""
        return None

    def size(self) -> Tensor | None:
        """What the sums that make the offset are made of, in absolute value."""
        offset = self.offset()
        return None if offset is None else offset.abs()

    def rows(self, neurons: Tensor) -> list[Window] | None:
        """Rows of the matrix; None where going back from unit coefficients is as cheap."""
        del neurons
        return None


@dataclass(frozen=True, eq=False)
class Dense(Affine):
    """A matrix applied to the last axis."""

    weight: Tensor
    bias: Tensor | None

    def __post_init__(self) -> None:
        object.__setattr__(self, "roundings", self.weight.shape[1] + 1)
        object.__setattr__(self, "fan", max(self.weight.shape))

    def apply(self, *values: Tensor) -> Tensor:
        """The affine map."""
        [value] = values
        bias = None if self.bias is None else self.bias.to(value)
        return torch.nn.functional.linear(value, self.weight.to(value), bias)

    def absolute(self, *values: Tensor) -> Tensor:
        """The product with absolute values."""
        [value] = values
        return torch.nn.functional.linear(value, self.weight.abs().to(value))

    def transpose(self, window: Window) -> list[Window]:
        """The product with the transposed matrix."""
        values = channels_first(window.whole(self.shape).values)
        return [Window(channels_last(values @ self.weight.to(values)))]

    def offset(self) -> Tensor | None:
        """The bias."""
        return self.bias

    def rows(self, neurons: Tensor) -> list[Window] | None:
        """Rows of the matrix."""
        return [Window(self.weight[neurons])] if len(self.shape) == 1 else None


@dataclass(frozen=True, eq=False)
class Scale(Affine):
    """A factor and an offset for each value, or for each channel: normalization, batch norm.

    Args:
        factor: Broadcasts to the shape.
        shift: Broadcasts to the shape.
        magnitude: Of the terms that make the shift, in absolute value.
        steps: Roundings of the program for one value.
    """

    factor: Tensor
    shift: Tensor
    magnitude: Tensor
    steps: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "roundings", self.steps)

    def apply(self, *values: Tensor) -> Tensor:
        """Factor times value plus shift."""
        [value] = values
        return value * self.factor.to(value) + self.shift.to(value)

    def absolute(self, *values: Tensor) -> Tensor:
        """Absolute factor times value."""
        [value] = values
        return value * self.factor.abs().to(value)

    def transpose(self, window: Window) -> list[Window]:
        """Each coefficient times its factor."""
        factor = self.factor
        if window.corner is not None and any(side != 1 for side in factor.shape[1:]):
            window = window.whole(self.shape)
        factor = channels_last(factor.expand(self._broad())[None]).to(window.values)
        return [Window(window.values * factor, window.corner)]

    def _broad(self) -> Shape:
        """The factor's shape with all axes, those of length 1 kept: (channels, 1, 1)."""
        own = self.factor.shape
        return (1,) * (len(self.shape) - len(own)) + tuple(own)

    def offset(self) -> Tensor | None:
        """The shift."""
        return self.shift

    def size(self) -> Tensor | None:
        """The magnitude."""
        return self.magnitude


@dataclass(frozen=True, eq=False)
class Sum(Affine):
    """A sum of values with factors, as of a residual block.

    Args:
        factors: One for each value: 1, -1, ...
    """

    factors: tuple[float, ...]

    def __post_init__(self) -> None:
        plain = all(abs(factor) == 1 for factor in self.factors)
        object.__setattr__(self, "roundings", len(self.factors) - 1 + (0 if plain else 2))
        object.__setattr__(self, "fan", len(self.factors))

    def apply(self, *values: Tensor) -> Tensor:
        """The sum."""
        pairs = zip(self.factors, values, strict=True)
        return torch.stack([factor * value for factor, value in pairs]).sum(0)

    def absolute(self, *values: Tensor) -> Tensor:
        """The sum with absolute factors."""
        pairs = zip(self.factors, values, strict=True)
        return torch.stack([abs(factor) * value for factor, value in pairs]).sum(0)

    def transpose(self, window: Window) -> list[Window]:
        """The same coefficients for each value, times its factor."""
        return [
            Window(window.values if f == 1 else f * window.values, window.corner)
            for f in self.factors
        ]


@dataclass(frozen=True, eq=False)
class Reshape(Affine):
    """The same values in another shape, in the same order.

    Args:
        before: The shape of the value that enters.
    """

    before: Shape

    def apply(self, *values: Tensor) -> Tensor:
        """The values in the shape."""
        [value] = values
        return value.reshape(-1, *self.shape)

    absolute = apply

    def transpose(self, window: Window) -> list[Window]:
        """The coefficients in the shape before."""
        values = channels_first(window.whole(self.shape).values)
        return [Window(channels_last(values.reshape(-1, *self.before)))]


@dataclass(frozen=True, eq=False)
class Concatenation(Affine):
    """Values side by side along the first axis of an example, the channels.

    Args:
        lengths: Of the values along that axis.
    """

    lengths: tuple[int, ...]

    def apply(self, *values: Tensor) -> Tensor:
        """The values side by side."""
        return torch.cat(values, 1)

    absolute = apply

    def transpose(self, window: Window) -> list[Window]:
        """To each value its coefficients."""
        axis = -1 if len(self.shape) == 3 else 1
        parts = window.values.split(self.lengths, axis)
        return [Window(part, window.corner) for part in parts]


def count(shape: Shape) -> int:
    """How many values one example has."""
    return prod(shape)
