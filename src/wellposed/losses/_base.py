"""What every loss is."""

from abc import ABC, abstractmethod

from jaxtyping import Float, Shaped
from torch import Tensor

from wellposed.errors import ArgumentError


class Loss(ABC):
    """The differentiable surrogate that training minimizes, one value per example.

    A subclass is a frozen dataclass whose fields are its parameters. The error (top-1, top-k) is
    another thing: see `wellposed.problem.top_k_error`.
    """

    @abstractmethod
    def __call__(
        self, outputs: Float[Tensor, "batch outputs"], targets: Shaped[Tensor, "batch ..."]
    ) -> Float[Tensor, " batch"]:
        """Value per example, not averaged."""

    def mean(
        self, outputs: Float[Tensor, "batch outputs"], targets: Shaped[Tensor, "batch ..."]
    ) -> Float[Tensor, ""]:
        """Mean over the batch; a loss that torch averages in one operation overrides it."""
        return mean_per_example(self(outputs, targets), outputs)


def mean_per_example(losses: Tensor, outputs: Tensor) -> Float[Tensor, ""]:
    """Mean of the losses of a batch, which are one value per example.

    Raises:
        ArgumentError: If they are not.
    """
    if losses.shape != outputs.shape[:1]:
        raise ArgumentError(
            f"a loss gives one value per example, here shape ({len(outputs)},), "
            f"but got shape {tuple(losses.shape)}; a torch loss needs reduction='none'"
        )
    return losses.mean()


def in_float32(outputs: Tensor) -> Tensor:
    """The outputs in at least float32: 8 bits of mantissa are too few for a loss."""
    return outputs.float() if outputs.element_size() < 4 else outputs


def require_classes(targets: Tensor, loss: str) -> None:
    """Refuse targets that are not class numbers, shape (batch,) and of an integer type."""
    if targets.dim() != 1 or targets.is_floating_point() or targets.is_complex():
        raise ArgumentError(
            f"{loss} needs targets that are class numbers (integers, shape (batch,)), "
            f"got {targets.dtype} of shape {tuple(targets.shape)}"
        )
