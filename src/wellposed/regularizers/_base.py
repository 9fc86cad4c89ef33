"""What every regularizer is, and which parameters count as weights."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Point:
    """Where a regularizer is evaluated: all it may look at.

    Args:
        model: The network f, at its current weights.
        inputs: The batch x, shape (batch, ...), or None where there is none.
        targets: The batch y, or None.
    """

    model: nn.Module
    inputs: Tensor | None = None
    targets: Tensor | None = None

    @property
    def weights(self) -> Mapping[str, Tensor]:
        """The trainable matrices and filters by name; biases and normalization are left out."""
        return {
            name: p
            for name, p in self.model.named_parameters()
            if p.requires_grad and is_weight(p)
        }


class Regularizer(ABC):
    """R(w), a scalar that is added to the mean loss.

    A subclass is a frozen dataclass whose fields are its strengths.
    """

    @abstractmethod
    def __call__(self, at: Point) -> Tensor:
        """Value at the current weights, shape ()."""


def is_weight(parameter: Tensor) -> bool:
    """Whether R acts on this parameter: matrices and filters, not biases or scales."""
    return parameter.dim() >= 2
