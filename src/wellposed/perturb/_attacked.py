"""What an attack found: an upper bound of robust accuracy, with its counter-examples."""

from dataclasses import dataclass
from typing import final

from jaxtyping import Bool, Float, Int
from torch import Tensor


@final
@dataclass(frozen=True, slots=True, eq=False)
class Attacked:
    """What an attack found, one entry per example, in the order of the inputs.

    Args:
        examples: The worst point that was found for each example, shape of the inputs. It lies in
            the ball and within the bounds, as real numbers. It is the one with the least margin,
            and for a minimum-norm attack the nearest one that breaks.
        broken: Whether the model does not give the right class the lead there: seen twice, the
            second time in a forward pass over the returned values. Ties and NaN count as broken.
        margin: The lead of the right class there, in logits.
        gradients: Backward passes to the input that it took, with their forward passes.
        forwards: Further forward passes.
    """

    examples: Float[Tensor, "n ..."]
    broken: Bool[Tensor, " n"]
    margin: Float[Tensor, " n"]
    gradients: Int[Tensor, " n"]
    forwards: Int[Tensor, " n"]

    @property
    def accuracy(self) -> float:
        """Share of the examples that were not broken: robust accuracy is at most this."""
        return float((~self.broken).double().mean())
