"""What every loss is."""

from abc import ABC, abstractmethod

from jaxtyping import Float, Shaped
from torch import Tensor


class Loss(ABC):
    """The differentiable surrogate that training minimises, one value per example.

    A subclass is a frozen dataclass whose fields are its parameters. The error (top-1, top-k) is
    another thing: see `wellposed.problem.top_k_error`.
    """

    @abstractmethod
    def __call__(
        self, outputs: Float[Tensor, "batch outputs"], targets: Shaped[Tensor, "batch *target"]
    ) -> Float[Tensor, " batch"]:
        """Value per example, not averaged."""
