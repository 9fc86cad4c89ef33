"""What every perturbation is: a stated, seeded change of whole image batches."""

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from hashlib import sha256
from math import isfinite
from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor

from wellposed.errors import require

_ROUNDING = 1e-3  # of the range: what standardizing and undoing it may leave


@final
class Draw:
    """Random numbers for a batch, the same on every device and for every floating-point type.

    Args:
        label: What is drawn for; another label gives independent numbers.
        seed: Of the draw.
        like: The batch they will meet.
    """

    def __init__(self, label: str, seed: int, like: Tensor) -> None:
        mixed = int.from_bytes(sha256(f"{label} {seed}".encode()).digest()[:8]) >> 1
        self._generator = torch.Generator().manual_seed(mixed)
        self._like = like

    def uniform(self, *shape: int) -> Tensor:
        """Uniform over [0, 1)."""
        return torch.rand(shape, generator=self._generator).to(self._like)

    def normal(self, *shape: int) -> Tensor:
        """Of mean 0 and standard deviation 1."""
        return torch.randn(shape, generator=self._generator).to(self._like)

    def sign(self, *shape: int) -> Tensor:
        """-1 or 1, equally likely."""
        return 1 - 2 * (self.uniform(*shape) < 0.5).to(self._like)


@dataclass(frozen=True)
class Perturbation(ABC):
    r"""A change $x \mapsto x + \delta$ of images that leaves alone what they show.

    Its strength is one of five stated values. The random part, such as the direction of a shift
    or the field of a noise, comes from the seed and not from the severity, so that one image is
    changed the same way, only further, as severity grows. Each image has its own draw, which
    depends on its place in the batch.

    A subclass states its `factor`, its `parameter` and `unit`, its `scale` and its change of a
    batch.

    Args:
        severity: From 1 to 5; 0 changes no bit.
        seed: Of the random part, at least 0.
    """

    severity: int = 1
    seed: int = 0

    factor: ClassVar[str]
    """What is varied, in the words of the lectures: "viewpoint", "noise" ..."""
    parameter: ClassVar[str]
    """What the strength is: "degrees", "standard deviation" ..."""
    scale: ClassVar[tuple[float, float, float, float, float]]
    """The strength at severities 1 to 5."""
    least_side: ClassVar[int] = 1
    """Height and width below which the change means nothing."""

    def __post_init__(self) -> None:
        name = type(self).__name__
        fine = self.severity in range(6) and not isinstance(self.severity, bool)
        require(fine, f"{name} has severities 0 to 5, got severity={self.severity!r}")
        require(self.seed >= 0, f"{name} needs a seed of at least 0, got seed={self.seed}")

    @property
    def strength(self) -> float | None:
        """The value of the scale that is applied; None at severity 0."""
        return self.scale[self.severity - 1] if self.severity else None

    @property
    def sha256(self) -> str:
        """The fingerprint of name, parameter, strength and seed: what exactly is applied."""
        said = [type(self).__name__, self.parameter, self.strength, self.seed]
        return sha256(json.dumps(said).encode()).hexdigest()

    def __str__(self) -> str:
        """Name and strength: "Rotation, degrees 10"."""
        if self.strength is None:
            return "unchanged"
        return f"{type(self).__name__}, {self.parameter} {self.strength:g}"

    def __call__(
        self,
        inputs: Float[Tensor, "batch channels height width"],
        input_range: tuple[float, float] = (0.0, 1.0),
    ) -> Float[Tensor, "batch channels height width"]:
        """The changed batch: a new tensor of the same shape and type, within the range.

        Args:
            inputs: Raw images, not standardized ones.
            input_range: Least and greatest value an input may take.

        Raises `ArgumentError` for what is no such batch.
        """
        self._require_images(inputs, input_range)
        if self.strength is None or len(inputs) == 0:
            return inputs.detach().clone()
        exact = inputs.detach()
        if exact.dtype not in {torch.float32, torch.float64}:
            exact = exact.float()
        draw = Draw(type(self).__name__, self.seed, exact)
        changed = self._changed(exact, self.strength, input_range, draw)
        return changed.to(inputs.dtype).clamp_(*input_range)

    @abstractmethod
    def _changed(
        self, x: Tensor, strength: float, input_range: tuple[float, float], draw: Draw, /
    ) -> Tensor:
        """A new tensor: the batch, of float32 or float64, changed by the strength.

        What leaves the range is clipped afterwards.
        """

    def _require_images(self, inputs: Tensor, input_range: tuple[float, float]) -> None:
        name, shape = type(self).__name__, tuple(inputs.shape)
        require(
            inputs.dim() == 4 and 0 not in shape[1:],
            f"{name} changes images of shape (batch, channels, height, width), got shape {shape}; "
            "leave it out for other inputs",
        )
        require(
            inputs.is_floating_point(),
            f"{name} changes images of real numbers, got {inputs.dtype}; convert them first, "
            "bytes by inputs / 255",
        )
        height, width = shape[2:]
        require(
            min(height, width) >= self.least_side,
            f"{name} needs images of at least {self.least_side}x{self.least_side} pixels, "
            f"got {height}x{width}; leave it out for these",
        )
        low, high = input_range
        require(
            isfinite(low) and isfinite(high) and low < high,
            f"{name} needs an input range of two finite numbers, the least and the greatest, "
            f"got {input_range}",
        )
        if len(inputs):
            least, most = (float(value) for value in torch.aminmax(inputs.detach()))
            slack = _ROUNDING * (high - low)
            require(
                low - slack <= least and most <= high + slack,
                f"{name} got inputs from {least:g} to {most:g}, outside their range "
                f"[{low:g}, {high:g}]; give raw inputs, not standardized ones, and their range",
            )
