"""The loop of stochastic descent, as a generator."""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import islice
from typing import Any, final

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer

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
        wrong: Number of examples whose largest output is not the target, shape (); None where
            targets are not classes.
        examples: Examples the update saw.
        gradients: Gradients of a batch that it took.
        gradient_norm: Euclidean norm of the gradient before it was clipped, shape (); None where
            nothing is clipped.
    """

    index: int
    objective: Tensor
    penalty: Tensor
    wrong: Tensor | None
    examples: int
    gradients: int
    gradient_norm: Tensor | None = None


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
    """
    forward = autocast or nullcontext()
    weights = [w for group in optimizer.param_groups for w in group["params"]]
    for index, group in enumerate(_groups(batches, accumulate), start + 1):
        found: list[Any] = []

        def closure(group: list[Batch] = group, found: list[Any] = found) -> Tensor:
            optimizer.zero_grad()
            terms = _backward(problem, group, forward)
            norm = None if clip_norm is None else clip_grad_norm_(weights, clip_norm)
            found.append((*terms, norm))
            return terms[0]

        optimizer.step(closure)  # type: ignore[arg-type]  # torch promises a float
        objective, penalty, wrong, norm = found[0]
        examples = sum(targets.shape[0] for _, targets in group)
        yield Step(index, objective, penalty, wrong, examples, len(found) * len(group), norm)


def _backward(
    problem: Problem, group: list[Batch], forward: AbstractContextManager[Any]
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Add the gradient of the objective on a group of batches; its value, penalty and errors."""
    found = []
    for inputs, targets in group:
        with forward:
            terms = problem.parts(inputs, targets)
            objective = terms.objective
        if len(group) > 1:
            objective = objective * (len(targets) / sum(len(y) for _, y in group))
        objective.backward()
        found.append((objective.detach(), terms.penalty.detach(), _wrong(terms.outputs, targets)))
    if len(found) == 1:
        return found[0]
    objectives, penalties, wrongs = zip(*found, strict=True)
    wrong = None if wrongs[0] is None else torch.stack(wrongs).sum()
    return torch.stack(objectives).sum(), penalties[0], wrong


def _wrong(outputs: Tensor, targets: Tensor) -> Tensor | None:
    """How many of the largest outputs are not the target, shape (); None without classes."""
    if targets.is_floating_point() or targets.dim() != 1:
        return None
    return outputs.detach().argmax(1).ne_(targets).sum()


def _groups(batches: Iterable[Batch], size: int) -> Iterator[list[Batch]]:
    """The batches in lists of `size`; the last may be shorter."""
    rest = iter(batches)
    while group := list(islice(rest, size)):
        yield group
