"""Zero mean and unit standard deviation per channel, measured on the training part alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor

from wellposed.errors import require


@final
@dataclass(frozen=True)
class Standardization:
    r"""$x \mapsto (x - \mu) / \sigma$ with one $\mu$ and $\sigma$ per channel or feature.

    Inputs of shape (channels, height, width) have one pair per channel, inputs of shape
    (features,) one per feature. What is constant over the training part has $\sigma = 1$.

    Args:
        mean: $\mu$, in the units of the raw inputs.
        std: $\sigma > 0$, as many.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        same = len(self.mean) == len(self.std) > 0
        require(
            same and all(s > 0 for s in self.std),
            f"Standardization needs as many std as mean, all of them above 0, "
            f"got mean={self.mean} and std={self.std}",
        )

    @classmethod
    def identity(cls, channels: int) -> "Standardization":
        """The one that changes nothing."""
        return cls((0.0,) * channels, (1.0,) * channels)

    @classmethod
    def from_dict(cls, value: Mapping[str, Sequence[float]]) -> "Standardization":
        """The inverse of `to_dict`."""
        return cls(tuple(map(float, value["mean"])), tuple(map(float, value["std"])))

    def to_dict(self) -> dict[str, Any]:
        """{"mean": [...], "std": [...]}, ready for JSON, where it keeps every bit."""
        return {"mean": list(self.mean), "std": list(self.std)}

    def apply(self, x: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        """Raw inputs, standardized."""
        mean, std = self._like(x)
        return (x - mean) / std

    def apply_(self, x: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        """`apply` in place, to the same bits."""
        mean, std = self._like(x)
        return x.sub_(mean).div_(std)

    def undo(self, x: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        """Standardized inputs in their raw units again, for instance to show them."""
        mean, std = self._like(x)
        return x * std + mean

    def _like(self, x: Tensor) -> tuple[Tensor, Tensor]:
        channels = x.shape[1] if x.dim() > 1 else None
        require(
            channels == len(self.mean),
            f"this standardization is for a batch of inputs with {len(self.mean)} channels, "
            f"got shape {tuple(x.shape)}",
        )
        shape = (-1, *(1,) * (x.dim() - 2))
        return x.new_tensor(self.mean).view(shape), x.new_tensor(self.std).view(shape)


@final
class Moments:
    """Mean and variance per channel of a stream of batches, in float64.

    Two passes within a batch and a stable merge between them; the result does not depend on how
    the stream is cut, up to float64 rounding.

    References:
        Chan, Golub and LeVeque, Updating formulae and a pairwise algorithm for computing sample
        variances, 1979.
    """

    def __init__(self) -> None:
        self._count = 0
        self._mean: Tensor | None = None
        self._square: Tensor | None = None  # sum of squared deviations

    def add(self, batch: Float[Tensor, "batch ..."]) -> None:
        """Take a batch into account."""
        values = batch.double().transpose(0, 1).flatten(1)
        count = values.shape[1]
        variance, mean = torch.var_mean(values, dim=1, correction=0)
        if self._mean is None or self._square is None:
            self._count, self._mean, self._square = count, mean, variance * count
            return
        total = self._count + count
        shift = mean - self._mean
        self._mean = self._mean + shift * (count / total)
        self._square += variance * count + shift.square() * (self._count * count / total)
        self._count = total

    def standardization(self) -> Standardization:
        """Mean and standard deviation so far; a deviation lost in rounding becomes 1."""
        require(self._mean is not None, "no batch was added, so there is nothing to standardize by")
        assert self._mean is not None and self._square is not None  # noqa: PT018 - for mypy
        mean, std = self._mean, (self._square / self._count).sqrt()
        constant = std <= 1e-6 * mean.abs().clamp(min=1e-6)
        std = torch.where(constant, torch.ones_like(std), std)
        return Standardization(tuple(mean.tolist()), tuple(std.tolist()))
