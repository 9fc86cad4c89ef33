"""Softmax cross-entropy."""

from dataclasses import dataclass
from typing import ClassVar, final

from jaxtyping import Float, Shaped
from torch import Tensor
from torch.nn import functional

from wellposed.errors import require
from wellposed.losses._base import Loss, in_float32, require_classes


@final
@dataclass(frozen=True, slots=True)
class CrossEntropy(Loss):
    r"""Negative log-likelihood of the target under the softmax of the outputs.

    $$\ell(f, y) = \log \sum_j e^{f_j} - \sum_j q_j f_j,
      \qquad q_j = (1 - s)\, 1[j = y] + s / C$$

    The logarithm of the sum is shifted by the largest output, so no scale of outputs overflows.
    Outputs in a 16-bit type are taken to float32 first.

    Args:
        label_smoothing: $s$ in [0, 1]: the share of each target that is spread evenly over all
            $C$ classes. With $s > 0$ the loss is bounded below by the entropy of q, not by 0.

    Raises:
        ArgumentError: If `label_smoothing` is outside [0, 1], or targets are not class numbers.

    References:
        Szegedy et al., Rethinking the Inception architecture, 2016, section 7, arXiv:1512.00567
        (label smoothing).
    """

    label_smoothing: float = 0.0

    citation: ClassVar[str] = ""

    def __post_init__(self) -> None:
        require(
            0 <= self.label_smoothing <= 1,
            f"CrossEntropy needs label_smoothing in [0, 1], got {self.label_smoothing:g}; try 0.1",
        )

    def __call__(
        self, outputs: Float[Tensor, "batch classes"], targets: Shaped[Tensor, "batch ..."]
    ) -> Float[Tensor, " batch"]:
        """Value per example, at least 0, not averaged."""
        return self._value(outputs, targets, "none")

    def mean(
        self, outputs: Float[Tensor, "batch classes"], targets: Shaped[Tensor, "batch ..."]
    ) -> Float[Tensor, ""]:
        """Mean over the batch, in one operation."""
        return self._value(outputs, targets, "mean")

    def _value(self, outputs: Tensor, targets: Tensor, reduction: str) -> Tensor:
        require_classes(targets, "CrossEntropy")
        return functional.cross_entropy(
            in_float32(outputs),
            targets.long(),
            reduction=reduction,
            label_smoothing=self.label_smoothing,
        )
