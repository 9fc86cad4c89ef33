"""How examples stand at one radius of a ladder: the best point of each, and what it cost."""

from collections.abc import Mapping
from math import ceil
from typing import final

import torch
from torch import Tensor

from wellposed.perturb._attacked import Attacked

_HANDFUL = 16


@final
class Standing:
    """The best that is known of each example at one radius, and what was spent there.

    Args:
        inputs: Where all of them stand at first.
    """

    def __init__(self, inputs: Tensor) -> None:
        n, device = len(inputs), inputs.device
        self.examples = inputs.detach().clone()
        self.broken = torch.zeros(n, dtype=torch.bool, device=device)
        self.margin = torch.full((n,), torch.inf, dtype=torch.float64, device=device)
        self.gradients = torch.zeros(n, dtype=torch.int64, device=device)
        self.forwards = torch.zeros_like(self.gradients)

    @property
    def columns(self) -> dict[str, Tensor]:
        """All of it by name, for a file."""
        return vars(self)

    def load(self, columns: Mapping[str, Tensor]) -> None:
        """Stand where a file says."""
        vars(self).update(columns)

    def inherit(self, smaller: "Standing") -> None:
        """What is better in a smaller ball holds in this one."""
        better = (smaller.broken & ~self.broken) | (~self.broken & (smaller.margin < self.margin))
        self.examples[better], self.margin[better] = (
            smaller.examples[better],
            smaller.margin[better],
        )
        self.broken |= smaller.broken

    def left(self) -> int:
        """How many examples are not broken."""
        return int((~self.broken).sum())

    def nearest(self, share: float) -> Tensor:
        """The rows that are not broken of the least margin, in ascending order.

        So many as this share of all; but no more than twice this share of those that are left, as
        they are no nearer to the boundary for being few, if that is more than a handful.
        """
        left = (~self.broken).nonzero().squeeze(1)
        order = self.margin[left].argsort(stable=True)
        most = max(_HANDFUL, ceil(2 * share * len(left)))
        return left[order[: min(ceil(share * len(self.broken)), most)]].sort().values

    def take(self, which: Tensor, new: Attacked) -> None:
        """Keep what an attack found for some rows, where it is better."""
        better = new.broken | (new.margin < self.margin[which])
        places = which[better]
        self.examples[places] = new.examples[better]
        self.margin[places] = new.margin[better].double()
        self.broken[which] |= new.broken
        self.gradients[which] += new.gradients
        self.forwards[which] += new.forwards

    def merge(self, known: Attacked) -> None:
        """Take over what others have found, whose cost is counted there."""
        self.examples, self.broken = known.examples.clone(), known.broken.clone()
        self.margin = known.margin.double()

    def attacked(self) -> Attacked:
        """What is known now."""
        return Attacked(self.examples, self.broken, self.margin, self.gradients, self.forwards)
