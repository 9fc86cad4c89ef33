"""Optimizers whose weights to keep are not the point at which gradients are taken."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.optim import Optimizer

from wellposed.errors import require


class Anchored(Optimizer, ABC):
    """An optimizer with an anchor x, the weights one keeps, and a point y where gradients are.

    While training, the model holds y. `eval()` exchanges the two and `train()` exchanges back;
    both may be called any number of times. Whichever the model holds, the other is in the state,
    so a checkpoint of model and optimizer is complete in either mode. Whatever evaluates or
    exports a model asks for this class, not for a particular method.

    A subclass calls `check_training` when it steps and keeps the keys `inner_index`,
    `outer_index` and `at_anchor` in its groups, the same in all of them.
    """

    @property
    def phase(self) -> tuple[int, int]:
        """Gradients consumed in the present cycle, and cycles completed."""
        return self.param_groups[0]["inner_index"], self.param_groups[0]["outer_index"]

    def train(self) -> None:
        """Put y into the model, where gradients are taken; no-op if it is there."""
        if self.param_groups[0]["at_anchor"]:
            self._switch(to_anchor=False)

    def eval(self) -> None:
        """Put the anchor x into the model, the weights one keeps; no-op if it is there."""
        if not self.param_groups[0]["at_anchor"]:
            self._switch(to_anchor=True)

    @contextmanager
    def at_anchor(self) -> Iterator[None]:
        """Within the context the model holds the anchor; afterwards what it held before."""
        training = not self.param_groups[0]["at_anchor"]
        self.eval()
        try:
            yield
        finally:
            if training:
                self.train()

    @abstractmethod
    def finish_cycle(self) -> None:
        """Leave in the model the weights one keeps, for good; call it when training ends."""

    @abstractmethod
    def diagnostics(self) -> dict[str, float]:
        """In which regime the method runs: numbers for the log."""

    @abstractmethod
    def _exchange(self, *, to_anchor: bool) -> None:
        """Swap x and y between the model and the state, unless they are the same."""

    def check_training(self) -> None:
        """Refuse a step whose gradient was taken at the anchor."""
        require(
            not self.param_groups[0]["at_anchor"],
            "step() was called while the model holds the anchor; call train() on the optimizer "
            "before the gradient is computed",
        )

    @torch.no_grad()
    def _switch(self, *, to_anchor: bool) -> None:
        self._exchange(to_anchor=to_anchor)
        for group in self.param_groups:
            group["at_anchor"] = to_anchor
