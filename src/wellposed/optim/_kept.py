"""Weights as they were, to go back to."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn.utils import get_total_norm

from wellposed.linalg import unflatten


class Kept:
    """A copy of the weights, from which trial steps start.

    Args:
        weights: That the steps move, at least one.
        others: That the closure or the method sets along the way, and that go back as well.
    """

    def __init__(self, weights: Sequence[Tensor], others: Sequence[Tensor] = ()) -> None:
        self.weights = list(weights)
        self.others = list(others)
        self._copies = [w.detach().clone() for w in (*weights, *others)]

    @torch.no_grad()
    def move(self, direction: Tensor, alpha: float) -> None:
        """Put the weights at copy + alpha * direction, a vector of shape (n,)."""
        torch._foreach_copy_(self.weights, self._copies[: len(self.weights)])
        torch._foreach_add_(self.weights, unflatten(direction, self.weights), alpha=alpha)

    @torch.no_grad()
    def restore(self) -> None:
        """Put everything back, bit by bit."""
        torch._foreach_copy_([*self.weights, *self.others], self._copies)

    def norm(self) -> float:
        """Euclidean norm of the weights as they were."""
        return float(get_total_norm(self._copies[: len(self.weights)]))

    @contextmanager
    def or_restored(self) -> Iterator[None]:
        """Put everything back if what is inside raises, whatever it raises."""
        try:
            yield
        except BaseException:
            self.restore()
            raise
