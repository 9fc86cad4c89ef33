"""What a method has spent, in evaluations rather than in steps."""

from dataclasses import dataclass
from typing import Any, final

KEYS = ("losses", "gradients", "products", "solves")


@final
@dataclass(frozen=True, slots=True)
class Effort:
    """Evaluations on the sample of the closure; `after - before` is what was spent in between.

    Args:
        losses: Evaluations of the loss alone: forward passes.
        gradients: Evaluations of loss and gradient: forward and backward passes.
        products: Products of a curvature matrix with a vector.
        solves: Factorizations for an output layer that is eliminated; other methods have none.
    """

    losses: int = 0
    gradients: int = 0
    products: int = 0
    solves: int = 0

    def __sub__(self, other: "Effort") -> "Effort":
        """The difference, count by count."""
        return Effort(*(getattr(self, key) - getattr(other, key) for key in KEYS))

    @property
    def gradient_equivalents(self) -> float:
        """Everything in gradient evaluations: a loss is a third of one, a product at most two.

        A backward pass costs two forward passes, and a curvature product is a backward pass through
        forward and backward pass. Solves are not in it: their cost is that of the output layer.
        """
        return self.losses / 3 + self.gradients + 2.0 * self.products

    @classmethod
    def of(cls, group: dict[str, Any]) -> "Effort":
        """The counts that an optimizer keeps in its parameter group."""
        return cls(*(group[key] for key in KEYS))
