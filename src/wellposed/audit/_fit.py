"""Train a copy for a stated number of gradients."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn

from wellposed.errors import require


@final
@dataclass(frozen=True, slots=True)
class Fit:
    """What a training did.

    Args:
        hits: Whether an example was classified right when its batch was drawn, before the step:
            shape (passes, n).
        gradients: Of one example, all together.
    """

    hits: Tensor
    gradients: int


def fit(  # noqa: PLR0913 - a training has its data, its loss and its four settings
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    losses: Callable[[Tensor, Tensor], Tensor],
    *,
    passes: int,
    batch_size: int,
    lr: float,
    generator: torch.Generator,
) -> Fit:
    """Adam for some passes over the data in train mode; the model is changed.

    Args:
        model: Trained in place.
        inputs: Shape (n, ...).
        labels: Class numbers, shape (n,).
        losses: (outputs, labels) -> one loss per example.
        passes: Over the data, at least 1.
        batch_size: Examples per step; a last batch of one goes to the one before, for batch norm.
        lr: Step size.
        generator: Of the order, and of what the model draws.

    Raises `ArgumentError` if the loss stops being finite.
    """
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr)
    n = len(inputs)
    hits = torch.zeros(passes, n, dtype=torch.bool)
    model.train()
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(int(torch.randint(2**31, (), generator=generator)))
        for number in range(passes):
            for rows in batches(torch.randperm(n, generator=generator), batch_size):
                outputs = model(inputs[rows])
                value = losses(outputs, labels[rows]).mean()
                _require_finite(value, number + 1, lr)
                hits[number, rows] = (outputs.argmax(1) == labels[rows]).cpu()
                optimizer.zero_grad()
                value.backward()
                optimizer.step()
    model.eval()
    return Fit(hits, passes * n)


def _require_finite(value: Tensor, number: int, lr: float) -> None:
    require(
        math.isfinite(float(value.detach())),
        f"the loss of a fresh copy is not finite in pass {number} of Adam with step size {lr:g}; "
        "this network does not train without care",
    )


def batches(order: Tensor, size: int) -> list[Tensor]:
    """Cut into batches, none of which has a single row unless it is the only one."""
    found = list(order.split(size))
    if len(found) > 1 and len(found[-1]) == 1:
        found[-2:] = [torch.cat(found[-2:])]
    return found
