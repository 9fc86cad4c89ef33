"""The loop of stochastic descent, as a generator."""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any, final

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer

from wellposed.errors import require
from wellposed.problem import Problem

Batch = tuple[Tensor, Tensor]


@final
@dataclass(frozen=True, slots=True)
class Step:
    """What one update of the weights found and cost; the tensors are still on the device.

    Whoever wants a float calls `.item()` and pays for the synchronization; nobody else does.

    Args:
        index: Updates made so far, this one included: 1 after the first.
        objective: Mean loss plus penalty at the weights before the update, shape ().
        penalty: The share of the regularizer in it, shape ().
        outputs: f(x; w) of the examples the update saw, one tensor per batch.
        targets: y of the same.
        gradients: Gradients of a batch that it took, those of an adversary included; of an
            optimizer without gradients, values.
        gradient_norm: Euclidean norm of the gradient before it was clipped, shape (); None where
            nothing is clipped.
    """

    index: int
    objective: Tensor
    penalty: Tensor
    outputs: tuple[Tensor, ...]
    targets: tuple[Tensor, ...]
    gradients: int
    gradient_norm: Tensor | None = None

    @property
    def examples(self) -> int:
        """Examples the update saw."""
        return sum(y.shape[0] for y in self.targets)

    @property
    def wrong(self) -> Tensor | None:
        """How many largest outputs are not the target, shape (); None without classes."""
        if not self.has_classes:
            return None
        pairs = zip(self.outputs, self.targets, strict=True)
        return torch.stack([f.argmax(1).ne(y).sum() for f, y in pairs]).sum()

    @property
    def has_classes(self) -> bool:
        """Whether the targets are class numbers, shape (batch,)."""
        first = self.targets[0]
        return first.dim() == 1 and not first.is_floating_point()


def steps(
    problem: Problem,
    optimizer: Optimizer,
    batches: Iterable[Batch],
    *,
    start: int = 0,
    accumulate: int = 1,
    clip_norm: float | None = None,
    autocast: AbstractContextManager[Any] | None = None,
) -> Iterator[Step]:
    """Descend, one update per `accumulate` batches; to stop early, leave the loop.

    Every optimizer is handed a closure, so SGD, L-BFGS and the relaxations go down this one path.
    Where the optimizer says `loss_only = True` (`wellposed.optim.SPSA`), the closure computes no
    gradient; the objective of a step is then the mean of the values found, near the weights.

    Args:
        problem: What is minimized.
        optimizer: Over the parameters of `problem.model`.
        batches: Pairs (inputs, targets), on the model's device.
        start: Updates made before; only the numbering depends on it.
        accumulate: Batches whose mean gradient makes one update; each counts by its size.
        clip_norm: A gradient of larger Euclidean norm is scaled down to this one.
        autocast: Entered around every evaluation of the objective, for instance
            `torch.autocast("cpu", torch.bfloat16)`.

    Cost: `accumulate` gradients of a batch per update; L-BFGS takes several times that.

    Raises `ArgumentError` if the optimizer wants closures of another kind (`NewtonCG`), or
    if there are no gradients whose norm could be clipped, or a line search that needs them.
    """
    forward = autocast or nullcontext()
    regularizer = problem.regularizer
    by_hand = getattr(optimizer, "by_hand", "")
    require(not by_hand, f"{type(optimizer).__name__} cannot be run by steps or fit: {by_hand}")
    loss_only = bool(getattr(optimizer, "loss_only", False))
    require(
        clip_norm is None or not getattr(optimizer, "searches", False),
        f"clip_norm={clip_norm} was given for {type(optimizer).__name__}, whose line search needs "
        "the gradient as it is; leave it out",
    )
    require(
        clip_norm is None or not loss_only,
        f"clip_norm={clip_norm} was given for {type(optimizer).__name__}, which computes no "
        "gradients; leave it out",
    )
    for index, group in enumerate(_groups(batches, accumulate), start + 1):
        found: list[Any] = []

        def closure(group: list[Batch] = group, found: list[Any] = found) -> Tensor:
            weights = [w for g in optimizer.param_groups for w in g["params"]]
            for w in weights:
                w.grad = None
            objective, penalty, outputs = _evaluate(problem, group, forward, backward=not loss_only)
            norm = None if clip_norm is None else clip_grad_norm_(weights, clip_norm)
            found.append((objective, penalty, () if found else outputs, norm))
            return objective

        optimizer.step(closure)  # type: ignore[arg-type]  # torch promises a float
        objective, penalty, outputs, norm = found[0]
        if loss_only:
            objective = torch.stack([value for value, *_ in found]).mean()
        targets = tuple(y for _, y in group)
        taken = len(found) * len(group) * (1 if regularizer is None else regularizer.gradients)
        yield Step(index, objective, penalty, outputs, targets, taken, norm)


def _evaluate(
    problem: Problem,
    group: list[Batch],
    forward: AbstractContextManager[Any],
    *,
    backward: bool,
) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
    """The objective on a group of batches, its penalty and outputs; adds its gradient, if asked."""
    found = []
    for inputs, targets in group:
        with forward:
            terms = problem.parts(inputs, targets)
        objective, penalty = terms.objective, terms.penalty.detach()
        if len(group) > 1:
            share = len(targets) / sum(len(y) for _, y in group)
            objective, penalty = objective * share, penalty * share
        if backward:
            objective.backward(_one(objective.dtype, objective.device))
        found.append((objective.detach(), penalty, terms.outputs.detach()))
    objectives, penalties, outputs = zip(*found, strict=True)
    if len(found) == 1:
        return objectives[0], penalties[0], outputs
    return torch.stack(objectives).sum(), torch.stack(penalties).sum(), outputs


@cache
def _one(dtype: torch.dtype, device: torch.device) -> Tensor:
    """The derivative of the objective by itself, made once: `backward()` makes it at each call."""
    return torch.ones((), dtype=dtype, device=device)


def _groups(batches: Iterable[Batch], size: int) -> Iterator[list[Batch]]:
    """The batches in lists of `size`; the last may be shorter."""
    rest = iter(batches)
    while group := list(islice(rest, size)):
        yield group
