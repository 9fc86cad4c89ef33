"""Linear classifier."""

from collections.abc import Sequence
from typing import ClassVar, final

from jaxtyping import Float
from torch import Tensor, nn

from wellposed.models._base import size_of


@final
class Linear(nn.Module):
    r"""Scores $f(x) = W x + b$: with cross-entropy, multinomial logistic regression.

    The objective is convex in $(W, b)$ for every loss of `wellposed.losses`.

    Args:
        shape: Shape of one input; it is flattened.
        classes: Number of outputs.

    Raises:
        ArgumentError: If the shape is empty or there is no class.
    """

    citation: ClassVar[str] = ""

    def __init__(self, *, shape: Sequence[int], classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(size_of(shape, classes, "Linear"), classes)

    def forward(self, inputs: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch classes"]:
        """Scores of a batch."""
        scores: Tensor = self.linear(inputs.flatten(1))
        return scores
