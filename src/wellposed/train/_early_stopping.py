"""When to stop before the plan's end, and which weights were best."""

import copy
import math
from dataclasses import dataclass
from typing import Any, final

from torch import nn


@final
@dataclass(slots=True)
class EarlyStopping:
    """Counts evaluations without improvement, and keeps the weights of the best.

    Args:
        patience: Evaluations in a row that may fail to improve; None: never stop, keep nothing.
        best: The lowest value seen.
        step: Where it was seen.
        waited: Evaluations since.
        weights: The state of the evaluated model there.
    """

    patience: int | None
    best: float = math.inf
    step: int | None = None
    waited: int = 0
    weights: dict[str, Any] | None = None

    @property
    def over(self) -> bool:
        """Whether patience has run out."""
        return self.patience is not None and self.waited >= self.patience

    def see(self, value: float, step: int, model: nn.Module) -> bool:
        """Take note of an evaluation; True if it is the best so far. NaN never is."""
        if self.patience is None:
            return False
        if not value < self.best:
            self.waited += 1
            return False
        self.best, self.step, self.waited = value, step, 0
        self.weights = copy.deepcopy(model.state_dict())
        return True

    def state_dict(self) -> dict[str, Any]:
        """All but the patience, which is the plan's."""
        return {
            "best": self.best,
            "step": self.step,
            "waited": self.waited,
            "weights": self.weights,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.best, self.step = state["best"], state["step"]
        self.waited, self.weights = state["waited"], state["weights"]
