"""Intervals that go through a network in place of tensors, and keep their derivatives."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor
from torch.nn import functional

from wellposed.errors import ArgumentError


@final
@dataclass(frozen=True, slots=True, eq=False)
class Interval:
    r"""All tensors between two: $\{z : l \le z \le u\}$, element by element.

    A network that is called with it in place of a tensor returns an interval that holds each of
    its outputs, up to rounding: affine maps move center and radius, $W c + b$ and $|W| r$, and
    what is increasing is applied to both ends.

    Args:
        lower: l.
        upper: u, of the same shape.
        source: What a linear layer made it from: its input interval, weight and bias.

    Raises:
        ArgumentError: At an operation that is not known.
    """

    lower: Tensor
    upper: Tensor
    source: "tuple[Interval, Tensor, Tensor | None] | None" = None

    @classmethod
    def __torch_function__(
        cls,
        function: Callable[..., Any],
        _types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> "Interval":
        """Called by torch where one of its functions is given an interval."""
        return _apply(function.__name__, function, args, kwargs or {})

    def __getattr__(self, name: str) -> Any:
        """A tensor's methods, for the networks that call them."""
        if name.startswith("_") or not hasattr(Tensor, name):
            raise AttributeError(name)
        method = getattr(Tensor, name)
        if not callable(method):
            return getattr(self.lower, name)
        if name in {"dim", "size", "numel", "is_floating_point"}:
            return getattr(self.lower, name)
        return lambda *args, **kwargs: _apply(name, method, (self, *args), kwargs)

    def __add__(self, other: "Interval | Tensor | float") -> "Interval":
        """The sum: of another interval, each end with each."""
        low, high = (other.lower, other.upper) if isinstance(other, Interval) else (other, other)
        return Interval(self.lower + low, self.upper + high)

    __radd__ = __add__

    def __sub__(self, other: "Interval | Tensor | float") -> "Interval":
        """Less a constant."""
        return _apply("sub", torch.sub, (self, other), {})

    def __mul__(self, other: "Interval | Tensor | float") -> "Interval":
        """Times a constant."""
        return _apply("mul", torch.mul, (self, other), {})

    __rmul__ = __mul__

    def __truediv__(self, other: "Interval | Tensor | float") -> "Interval":
        """By a constant."""
        return _apply("div", torch.div, (self, other), {})

    def differences(self, targets: Tensor) -> Tensor:
        """Upper bounds of $z_j - z_y$ for each output j, shape (batch, classes); 0 at y.

        Where a linear layer came last the difference is taken of its rows, which is tighter.
        """
        classes = self.lower.shape[1]
        units = torch.eye(classes, dtype=self.lower.dtype, device=self.lower.device)
        if self.source is None:
            own = self.lower.gather(1, targets[:, None])
            found = self.upper - own
        else:
            before, weight, bias = self.source
            rows = weight - weight[targets][:, None]  # (batch, classes, inputs)
            center, radius = before.center_radius()
            found = torch.einsum("bji,bi->bj", rows, center)
            found = found + torch.einsum("bji,bi->bj", rows.abs(), radius)
            if bias is not None:
                found = found + bias - bias[targets][:, None]
        return torch.where(units[targets] > 0, 0.0, found)

    def center_radius(self) -> tuple[Tensor, Tensor]:
        """Half the sum and half the difference of the ends."""
        return (self.lower + self.upper) / 2, (self.upper - self.lower) / 2


_AFFINE = {"linear", "conv1d", "conv2d", "conv3d"}
_INCREASING = {
    "relu", "relu_", "leaky_relu", "tanh", "tanh_", "sigmoid", "sigmoid_", "softplus", "hardtanh",
    "max_pool1d", "max_pool2d", "avg_pool1d", "avg_pool2d", "adaptive_avg_pool1d",
    "adaptive_avg_pool2d", "flatten", "reshape", "view", "squeeze", "unsqueeze", "permute",
    "transpose", "contiguous", "mean", "clamp",
}  # fmt: skip


_MONOTONE = {"add", "sub", "mul", "div", "true_divide", "neg"}


def _apply(
    name: str, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Interval:
    """An operation of torch on an interval.

    Raises:
        ArgumentError: If its bounds are not known.
    """
    found: Interval | None = None
    first, rest = args[0], args[1:]
    if isinstance(first, Interval):
        if name == "add" and len(rest) == 1 and not kwargs:
            found = first + rest[0]
        elif not any(isinstance(other, Interval) for other in rest):
            found = _of_one(name, function, first, rest, kwargs)
    if found is not None:
        return found
    raise ArgumentError(
        f"interval bounds do not know {name} (or not in training mode, or of two intervals); they "
        "take linear layers, convolutions, increasing activations, pooling, sums, constants and "
        "reshaping"
    )


def _of_one(
    name: str,
    function: Callable[..., Any],
    given: Interval,
    rest: Sequence[Any],
    kwargs: Mapping[str, Any],
) -> Interval | None:
    if name in _AFFINE:
        return _affine(function, given, rest, kwargs)
    if name in _MONOTONE:  # place by place, with a constant
        ends = [function(end, *rest, **kwargs) for end in (given.lower, given.upper)]
        return Interval(torch.minimum(*ends), torch.maximum(*ends))
    if name == "leaky_relu" and kwargs.get("negative_slope", rest[0] if rest else 0) < 0:
        return None
    if name in _INCREASING:
        low, high = (function(end, *rest, **kwargs) for end in (given.lower, given.upper))
        return Interval(low, high)
    if name == "dropout" and not kwargs.get("training", len(rest) > 1 and rest[1]):
        return given
    if name == "batch_norm" and not kwargs.get("training", len(rest) > 4 and rest[4]):
        return _normalized(given, *rest, **kwargs)
    return None


def _affine(
    function: Callable[..., Any], given: Interval, rest: Sequence[Any], kwargs: Mapping[str, Any]
) -> Interval:
    names = ("weight", "bias", "stride", "padding", "dilation", "groups")
    how = dict(zip(names, rest, strict=False)) | dict(kwargs)
    weight, bias = how.pop("weight"), how.pop("bias", None)
    center, radius = given.center_radius()
    middle = function(center, weight, bias, **how)
    spread = function(radius, weight.abs(), None, **how)
    linear = function is functional.linear
    return Interval(middle - spread, middle + spread, (given, weight, bias) if linear else None)


def _normalized(  # noqa: PLR0913 - the signature of torch's batch_norm
    given: Interval,
    mean: Tensor,
    variance: Tensor,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,  # noqa: ARG001, FBT001, FBT002
    momentum: float = 0.1,  # noqa: ARG001
    eps: float = 1e-5,
) -> Interval:
    shape = (1, -1, *[1] * (given.lower.dim() - 2))
    scale = (variance + eps).rsqrt() * (1.0 if weight is None else weight)
    shift = (0.0 if bias is None else bias) - mean * scale
    center, radius = given.center_radius()
    middle = center * scale.view(shape) + shift.view(shape)
    spread = radius * scale.abs().view(shape)
    return Interval(middle - spread, middle + spread)
