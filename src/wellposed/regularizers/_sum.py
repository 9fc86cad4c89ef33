"""Several regularizers as one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from wellposed.errors import ArgumentError, require
from wellposed.regularizers._base import Point, Proximal, Regularizer
from wellposed.regularizers._elastic_net import ElasticNet, Shrinkage


@final
@dataclass(frozen=True, slots=True)
class Sum(Proximal):
    """R = R1 + R2 + ...; made by `+`.

    The proximal map of a sum is known where its terms are L1, L2 and elastic nets, which add up
    to one elastic net. It is refused elsewhere.

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
        unknown = [type(t).__name__ for t in self.terms if not isinstance(t, Shrinkage)]
        if unknown:
            raise ArgumentError(
                f"the proximal map of a sum with {', '.join(unknown)} is not known; "
                "it is for L1, L2 and ElasticNet, so differentiate this sum instead"
            )
        strengths = [t.strengths for t in self.terms if isinstance(t, Shrinkage)]
        merged = ElasticNet(sum(a for a, _ in strengths), sum(b for _, b in strengths))
        merged.prox_(parameters, step)
