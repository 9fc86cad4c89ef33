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
        """Everything in gradient evaluations: a loss is half of one, a product two.

        Both are upper bounds, measured on a perceptron and LeNet on a CPU: a loss is 0.46 to 0.49
        gradients, a Hessian product 1.1 to 1.8, a Gauss-Newton product 1.0 to 1.7. Solves are not
        in it: their cost is that of the output layer.
        """
        return self.losses / 2 + self.gradients + 2.0 * self.products

    @classmethod
    def of(cls, group: dict[str, Any]) -> "Effort":
        """The counts that an optimizer keeps in its parameter group."""
        return cls(*(group[key] for key in KEYS))
