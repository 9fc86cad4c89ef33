"""Squared error, for regression and for classes alike."""

from dataclasses import dataclass
from typing import ClassVar, final

from jaxtyping import Float, Shaped
from torch import Tensor
from torch.nn import functional

from wellposed.errors import require
from wellposed.losses._base import Loss, in_float32, require_classes


@final
@dataclass(frozen=True, slots=True)
class SquaredError(Loss):
    r"""Half the squared distance between outputs and targets, so that its gradient is $f - y$.

    $$\ell(f, y) = \tfrac12 \sum_j (f_j - y_j)^2$$

    Integer targets of shape (batch,) are classes and stand for their one-hot vectors; targets of
    a floating type are compared as they are and have the shape of the outputs, or (batch,) where
    the network has one output.

    Raises:
        ArgumentError: If the shapes of outputs and targets do not fit.
    """

    citation: ClassVar[str] = ""

    def __call__(
        self, outputs: Float[Tensor, "batch outputs"], targets: Shaped[Tensor, "batch ..."]
    ) -> Float[Tensor, " batch"]:
        """Value per example, at least 0, not averaged."""
        outputs = in_float32(outputs)
        if not targets.is_floating_point():
            require_classes(targets, "SquaredError")
            targets = functional.one_hot(targets.long(), outputs.shape[1])
        elif targets.dim() == 1:
            targets = targets.unsqueeze(1)
        require(
            targets.shape == outputs.shape,
            f"SquaredError needs targets of the outputs' shape {tuple(outputs.shape)}, "
            f"got {tuple(targets.shape)}",
        )
        return 0.5 * (outputs - targets).square().sum(1)
