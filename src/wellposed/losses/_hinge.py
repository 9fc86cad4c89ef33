"""Multiclass hinge loss."""

from dataclasses import dataclass
from typing import ClassVar, final

from jaxtyping import Float, Shaped
from torch import Tensor

from wellposed.errors import require
from wellposed.losses._base import Loss, in_float32, require_classes


@final
@dataclass(frozen=True, slots=True)
class Hinge(Loss):
    r"""Support vector machine loss of several classes, summed over the wrong ones.

    $$\ell(f, y) = \sum_{j \ne y} \max(0,\; m + f_j - f_y)$$

    It is zero exactly when the right class leads by the margin. `torch.nn.MultiMarginLoss` is
    this divided by the number of classes; torch cannot differentiate that one twice, and
    curvature needs it.

    Args:
        margin: $m > 0$, the lead that the right class has to have.

    Raises:
        ArgumentError: If `margin` is not positive, or targets are not class numbers.

    References:
        Weston and Watkins, Support vector machines for multi-class pattern recognition, 1999.
    """

    margin: float = 1.0

    citation: ClassVar[str] = """\
@inproceedings{weston1999support,
  author = {Weston, Jason and Watkins, Chris},
  title = {Support vector machines for multi-class pattern recognition},
  booktitle = {European Symposium on Artificial Neural Networks},
  pages = {219--224}, year = {1999}
}"""

    def __post_init__(self) -> None:
        require(self.margin > 0, f"Hinge needs margin > 0, got {self.margin:g}; the usual one is 1")

    def __call__(
        self, outputs: Float[Tensor, "batch classes"], targets: Shaped[Tensor, "batch ..."]
    ) -> Float[Tensor, " batch"]:
        """Value per example, at least 0, not averaged."""
        require_classes(targets, "Hinge")
        outputs = in_float32(outputs)
        right = targets.long().unsqueeze(1)
        excess = (outputs - outputs.gather(1, right) + self.margin).clamp_min(0)
        return excess.scatter(1, right, 0.0).sum(1)
