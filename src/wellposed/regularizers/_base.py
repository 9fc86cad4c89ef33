"""What every regularizer is, and which parameters count as weights."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from jaxtyping import Float
from torch import Tensor, nn

if TYPE_CHECKING:
    from wellposed.regularizers._sum import Sum


@final
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
            name: p for name, p in self.model.named_parameters() if p.requires_grad and is_weight(p)
        }


class Regularizer(ABC):
    """R(w), a scalar that is added to the mean loss; two of them add up with `+`.

    A subclass is a frozen dataclass whose fields are its strengths.
    """

    @abstractmethod
    def __call__(self, at: Point) -> Float[Tensor, ""]:
        """Value at the current weights, shape ()."""

    def __add__(self, other: "Regularizer") -> "Sum":
        """The regularizer whose value is the sum of both values."""
        from wellposed.regularizers._sum import Sum

        return Sum((self, other))


class Proximal(Regularizer):
    """A regularizer whose proximal map is cheap, so that it need not be differentiated."""

    @abstractmethod
    def prox_(self, parameters: Sequence[Tensor], step: float) -> None:
        r"""Replace the weights w, in place, by $\arg\min_u R(u) + \|u - w\|^2 / (2\,\text{step})$.

        Args:
            parameters: Any parameters; those that are not weights (biases, scales) stay as they
                are, as they do in the value of R.
            step: Step size > 0 of the gradient step before.
        """


def is_weight(parameter: Tensor) -> bool:
    """Whether R acts on this parameter: matrices and filters, not biases or scales."""
    return parameter.dim() >= 2
