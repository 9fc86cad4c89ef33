"""What enters the benchmark: an optimizer, the model of its cost, and a step of it to be timed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from updates.kernels import STREAMS
from updates.lists import lenet, weights


@dataclass(frozen=True)
class Entrant:
    """An optimizer in the benchmark.

    Args:
        make: Of it, from parameters.
        passes: How often per gradient each kernel of `STREAMS` has to run; None for a peer.
        method: What it computes; a peer is compared with the member of the same method.
        gradients: How many a call of `step` consumes.
        closure: Whether `step` needs a closure, which computes the loss and its gradient again.
        first: Whether the gradient has to be there before `step` calls the closure.
        replicas: Copies of the model, each of which gets a gradient in a step.
    """

    make: Callable[[list[Tensor]], Any]
    passes: dict[str, float] | None = None
    method: str = ""
    gradients: int = 1
    closure: bool = False
    first: bool = False
    replicas: int = 1

    @property
    def draws(self) -> float:
        """How often per gradient n normal numbers are drawn."""
        return (self.passes or {}).get("normal", 0.0)

    def streams(self) -> float:
        """Reads and writes of n floats per gradient."""
        return sum(STREAMS[name] * count for name, count in (self.passes or {}).items())


@dataclass(frozen=True)
class Running:
    """An optimizer at work.

    Args:
        step: Takes one step.
        gradients: How many gradients that consumes.
        optimizer: The optimizer.
    """

    step: Callable[[], Any]
    gradients: int
    optimizer: Any


def update(entrant: Entrant, shapes: list[tuple[int, ...]]) -> Running:
    """An optimizer whose gradients are constant and lie ready."""
    params = weights(shapes * entrant.replicas)
    optimizer = entrant.make(params)
    grads, loss = [p.grad for p in params], torch.zeros(())

    def closure(backward: bool = True) -> Tensor:  # noqa: ARG001, FBT001, FBT002 - torchzero's
        for p, grad in zip(params, grads, strict=True):
            p.grad = grad
        return loss

    def step() -> None:
        optimizer.step(closure)

    return Running(step if entrant.closure else optimizer.step, entrant.gradients, optimizer)


def training(entrant: Entrant, batch: int) -> Running:
    """Training steps of LeNet-5 on a batch of pictures; each replica has a network of its own."""
    torch.manual_seed(0)
    models = [lenet() for _ in range(entrant.replicas)]
    inputs, targets = torch.randn(batch, 1, 28, 28), torch.randint(10, (batch,))
    optimizer = entrant.make([p for model in models for p in model.parameters()])

    def closure(backward: bool = True) -> Tensor:  # noqa: ARG001, FBT001, FBT002 - torchzero's
        optimizer.zero_grad()
        for model in models:
            loss = nn.functional.cross_entropy(model(inputs), targets)
            loss.backward()
        return loss

    def step() -> None:
        if not entrant.closure or entrant.first:
            closure()
        optimizer.step(*[closure] * entrant.closure)

    return Running(step, entrant.gradients, optimizer)
