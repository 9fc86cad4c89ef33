"""Loss, error and confusion of a network on a part of the data."""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from wellposed.data import Batches, Examples
from wellposed.problem import eval_mode, top_k_error


@final
@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a network does on `n` examples; the tensors are on the CPU, in the examples' order.

    Args:
        n: Number of examples.
        loss: Mean of the loss.
        error: Share whose target is not the largest output, in [0, 1].
        top5_error: Share whose target is not among the five largest; None below six classes.
        confusion: Counts; row = target, column = prediction.
        targets: Class numbers.
        predicted: Class numbers.
        confidence: Softmax probability of the prediction.
        robust_error: Share whose target is not the largest output under an adversary, as far as
            some of the examples say; None where training has no adversary.
    """

    n: int
    loss: float
    error: float
    top5_error: float | None
    confusion: Int[Tensor, "classes classes"]
    targets: Int[Tensor, " n"]
    predicted: Int[Tensor, " n"]
    confidence: Float[Tensor, " n"]
    robust_error: float | None = None

    def mistakes(self, most: int) -> list[int]:
        """Indices of the wrong predictions, the most confident first, at most this many."""
        wrong = (self.predicted != self.targets).nonzero()[:, 0]
        order = self.confidence[wrong].argsort(descending=True, stable=True)
        found: list[int] = wrong[order][:most].tolist()
        return found


@torch.no_grad()
def evaluate(
    model: nn.Module,
    examples: Examples | Batches,
    loss: Callable[[Tensor, Tensor], Tensor],
    *,
    batch_size: int = 1000,
    autocast: AbstractContextManager[Any] | None = None,
) -> Evaluation:
    """Evaluate in eval mode; the model's mode is put back. Cost: one forward pass per example.

    Args:
        model: From inputs to outputs of shape (batch, classes).
        examples: The part of the data; or batches of it, in their order, on the model's device.
        loss: (outputs, targets) -> value per example.
        batch_size: Examples per forward pass; the result depends on it by rounding only.
        autocast: Entered around each forward pass.
    """
    if isinstance(examples, Examples):
        device = next((p.device for p in model.parameters()), torch.device("cpu"))
        examples = Batches(examples, batch_size, shuffle=False, device=device)
    losses, wrong, wrong5, found = [], [], [], []
    classes = 0
    with eval_mode(model):
        for inputs, targets in examples.epoch(0):
            with autocast or nullcontext():
                outputs = model(inputs)
                losses.append(loss(outputs, targets).sum())
            outputs = outputs.float()
            classes = outputs.shape[1]
            wrong.append(top_k_error(outputs, targets).sum())
            if classes > 5:
                wrong5.append(top_k_error(outputs, targets, 5).sum())
            confidence, predicted = outputs.softmax(1).max(1)
            found.append((targets, predicted, confidence))
    targets, predicted, confidence = (torch.cat(part).cpu() for part in zip(*found, strict=True))
    n = len(targets)
    counts = torch.bincount(targets * classes + predicted, minlength=classes**2)
    return Evaluation(
        n=n,
        loss=math.fsum(torch.stack(losses).tolist()) / n,
        error=math.fsum(torch.stack(wrong).tolist()) / n,
        top5_error=math.fsum(torch.stack(wrong5).tolist()) / n if wrong5 else None,
        confusion=counts.view(classes, classes),
        targets=targets,
        predicted=predicted,
        confidence=confidence,
    )
