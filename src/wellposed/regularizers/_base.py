"""What every regularizer is, and which parameters count as weights."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from wellposed.errors import ArgumentError, require


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

    @abstractmethod
    def merged(self, other: Regularizer) -> "Proximal | None":
        """The sum with another one as one regularizer with a cheap proximal map; None if none."""


@final
@dataclass(frozen=True, slots=True)
class Sum(Regularizer):
    """R = R1 + R2 + ...; made by `+`.

    The proximal map of a sum is known where its terms merge into one that has one, as L1, L2 and
    elastic nets do into an elastic net. It is refused elsewhere: it is not the composition.

    Args:
        terms: The regularizers; a sum among them is opened. At least one.

    Raises:
        ArgumentError: If there is no term.
    """

    terms: tuple[Regularizer, ...]

    def __post_init__(self) -> None:
        flat: list[Regularizer] = []
        for term in self.terms:
            flat.extend(term.terms if isinstance(term, Sum) else (term,))
        require(len(flat) > 0, "Sum needs at least one regularizer, got none")
        object.__setattr__(self, "terms", tuple(flat))

    def __call__(self, at: Point) -> Float[Tensor, ""]:
        """Sum of the values of all terms."""
        return torch.stack([term(at) for term in self.terms]).sum()

    def prox_(self, parameters: Sequence[Tensor], step: float) -> None:
        """Apply the proximal map of the whole sum, in place.

        Raises:
            ArgumentError: If the map of the sum is not known.
        """
        whole = self.terms[0] if isinstance(self.terms[0], Proximal) else None
        for term in self.terms[1:]:
            whole = whole and whole.merged(term)
        if whole is None:
            names = " + ".join(type(term).__name__ for term in self.terms)
            raise ArgumentError(
                f"the proximal map of {names} is not known; it is for sums of L1, L2 and "
                "ElasticNet, so differentiate this one instead"
            )
        whole.prox_(parameters, step)


def is_weight(parameter: Tensor) -> bool:
    """Whether R acts on this parameter: matrices and filters, not biases or scales."""
    return parameter.dim() >= 2
