"""Robust accuracy while training: its collapse is detected, and the last good weights kept."""

import copy
import math
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, final

import torch
from torch import Tensor, nn

from wellposed.problem import eval_mode, top_k_error
from wellposed.regularizers import Adversary

STEPS = 10
_DROP = 0.2


@final
@dataclass(slots=True)
class Watchdog:
    """Notices catastrophic overfitting: robust accuracy falls at once, where clean accuracy rises.

    Training with single steps can make the loss so crooked that single steps find nothing, while
    the network is open to every adversary that takes several. The sign is a fall of robust
    accuracy by more than 0.2 below the best seen.

    Args:
        best: The lowest robust error seen, in [0, 1].
        step: Where it was seen.
        weights: The state of the evaluated model there.
        barked: Whether robust accuracy has collapsed since.

    References:
        Wong, Rice and Kolter, Fast is better than free, 2020, arXiv:2001.03994.
    """

    best: float = math.inf
    step: int | None = None
    weights: dict[str, Any] | None = None
    barked: bool = False

    def see(self, robust_error: float, step: int, model: nn.Module) -> None:
        """Take note of an evaluation; NaN counts as an error of 1."""
        found = 1.0 if math.isnan(robust_error) else robust_error
        if found < self.best:
            self.best, self.step = found, step
            self.weights = copy.deepcopy(model.state_dict())
        self.barked = self.barked or found > self.best + _DROP

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {
            "best": self.best,
            "step": self.step,
            "weights": self.weights,
            "barked": self.barked,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """From a checkpoint."""
        self.best, self.step = state["best"], state["step"]
        self.weights, self.barked = state["weights"], state["barked"]


def robust_error(
    model: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    adversary: Adversary,
    *,
    autocast: AbstractContextManager[Any] | None = None,
) -> float:
    """Share of wrong predictions under an adversary of 10 steps: a lower bound of the true share.

    It goes down the margin of the target over the other classes from a fixed random point of the
    training adversary's ball, and what is wrong at the input is wrong. The network is in eval
    mode, and torch's random numbers are not touched.

    Args:
        model: Outputs of shape (batch, classes).
        inputs: Shape (batch, ...).
        targets: Class numbers.
        adversary: Whose ball and bounds are meant.
        autocast: Entered around each evaluation.

    Cost: 10 gradients by the inputs and 2 forward passes.
    """
    strong = replace(
        adversary,
        steps=STEPS,
        step=2.5 * adversary.ball.eps / (STEPS + 1),
        start="uniform",
        mode="eval",
    )
    inputs = inputs.float() if inputs.element_size() < 4 else inputs

    def others_ahead(outputs: Tensor) -> Tensor:
        own = torch.zeros_like(outputs, dtype=torch.bool).scatter(1, targets[:, None], value=True)
        return outputs.masked_fill(own, -math.inf).amax(1) - outputs[own]

    with eval_mode(model), autocast or nullcontext():
        worst = strong.worst(model, inputs, others_ahead)
        with torch.no_grad():
            wrong = [top_k_error(model(x.clone()).float(), targets) for x in (inputs, worst)]
    return torch.stack(wrong).amax(0).mean().item()
