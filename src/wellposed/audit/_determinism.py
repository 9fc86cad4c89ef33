"""Does the network give the same numbers when it is asked again?"""

import math
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from wellposed.audit._check import Check
from wellposed.audit._subject import Subject
from wellposed.audit._trace import Call, tensors_in, traced
from wellposed.audit._untouched import generators, same_bits, set_generators, untouched
from wellposed.errors import first_line, in_a_line
from wellposed.runs import Finding, Listing, Threshold, Verdict


@final
@dataclass(frozen=True)
class Pass:
    """One forward and backward pass.

    Args:
        calls: Of modules, in the order in which they end.
        loss: The objective.
        gradients: By parameter.
    """

    calls: list[Call]
    loss: Tensor
    gradients: dict[str, Tensor]

    def first_difference(self, other: "Pass") -> str:
        """Where another pass begins to differ by a bit; empty if it does not."""
        for mine, theirs in zip(self.calls, other.calls, strict=False):
            if mine.name != theirs.name or not _same(mine.output, theirs.output):
                return f"the output of {mine.place}"
        if len(self.calls) != len(other.calls):
            return "the modules that are called"
        if not same_bits(self.loss, other.loss):
            return "the loss"
        for name in reversed(self.gradients):  # the backward pass begins at the last
            if not same_bits(self.gradients[name], other.gradients[name]):
                return f"the gradient of {name}"
        return ""

    def distance(self, other: "Pass") -> float:
        """The largest relative difference of outputs, loss and gradients."""
        mine = [*tensors_in(self.calls[-1].output), self.loss, *self.gradients.values()]
        theirs = [*tensors_in(other.calls[-1].output), other.loss, *other.gradients.values()]
        return max(map(_relative, mine, theirs))


def determinism(subject: Subject, *, examples: int = 16) -> Finding:
    """Repeat a forward and backward pass, and compare all outputs and gradients bit by bit.

    In eval mode a network is a function, so that a second pass must give the same bits. Where it
    does not, the second pass is repeated with the global random generators put back, and with
    everything put back: it draws from the former, it keeps a generator or another state of its own,
    or its arithmetic takes sums in an order that varies. In train mode a pass is repeated from the
    same state, generators included: otherwise no training can be repeated. The first module that
    differs is named.

    Args:
        subject: The network and its loss.
        examples: Inputs, at least 1.

    Cost: four gradients per example, and four more where something differs.
    """
    batch = subject.take(subject.judged, examples)
    with untouched(subject.model):
        first, second = _passed(subject, batch), _passed(subject, batch)
    where = first.first_difference(second)
    cause = _cause(subject, batch, first) if where else ""
    value = first.distance(second) if where else 0.0
    training = _training(subject, batch)
    eps = torch.finfo(torch.get_default_dtype()).eps
    floats = [t for t in tensors_in(first.calls[-1].output) if t.is_floating_point()]
    eps = max([float(torch.finfo(t.dtype).eps) for t in floats] or [eps])
    threshold = Threshold(
        1000 * eps, "above", "arithmetic", "1000 eps: the rounding of sums in another order"
    )
    if where:
        verdict = threshold.judge((value, value))
        verdict = Verdict.WARN if verdict is Verdict.PASS else verdict
        said = f"In eval mode a second pass {_how_far(value)}, first in {where}: {cause}"
    elif training:
        verdict = Verdict.WARN
        said = f"In eval mode all bits repeat; in train mode they do not: {training}"
    else:
        verdict = Verdict.PASS
        said = f"All outputs of {len(first.calls)} calls and all gradients repeat, bit by bit"
    return Finding(
        check="determinism",
        verdict=verdict,
        statement=said + ".",
        value=value,
        interval=(value, value),
        unit="relative difference",
        threshold=threshold,
        where=where.removeprefix("the output of ") if where else "",
        evidence={
            "examples": len(batch[0]),
            "calls": len(first.calls),
            "train_mode": training or "repeats from the same state",
            "cause": cause,
            "deterministic_algorithms": _strict(subject, batch) if where or training else "",
            "seed": subject.seed,
        },
        verified="compared bit by bit: in eval mode, the second pass where the first ended, and "
        "in train mode, where both begin from the same state, generators included",
        remedy=_remedy(cause) if where else "",
        figures=_figures(first, second) if where else (),
    )


def _passed(subject: Subject, batch: tuple[Tensor, Tensor], *, train: bool = False) -> Pass:
    """A forward and backward pass; gradients are returned, not kept."""
    inputs, targets = batch
    named = {n: p for n, p in subject.model.named_parameters() if p.requires_grad}
    with subject.quiet() as model, traced(model) as calls:
        model.train(train)
        loss = subject.objective(inputs, targets)
        found: tuple[Tensor | None, ...] = (None,) * len(named)
        if named and loss.requires_grad:
            found = torch.autograd.grad(loss, list(named.values()), allow_unused=True)
    gradients = {n: g.to_dense() for n, g in zip(named, found, strict=True) if g is not None}
    return Pass(calls, loss.detach(), gradients)


def _cause(subject: Subject, batch: tuple[Tensor, Tensor], first: Pass) -> str:
    """What has to be put back for a second pass to be the first."""
    with untouched(subject.model):
        before = generators()
        _passed(subject, batch)
        set_generators(before)
        if not first.first_difference(_passed(subject, batch)):
            return "it draws from the global generator"
    with untouched(subject.model):
        if not first.first_difference(_passed(subject, batch)):
            return "it keeps a generator or another state of its own"
    return "its arithmetic does not repeat, or it draws from outside of torch, numpy and random"


def _training(subject: Subject, batch: tuple[Tensor, Tensor]) -> str:
    """Where train mode does not repeat from the same state; empty if it does."""
    try:
        with untouched(subject.model):
            first = _passed(subject, batch, train=True)
        with untouched(subject.model):
            second = _passed(subject, batch, train=True)
    except Exception as error:  # noqa: BLE001 - batch normalization of one example, say
        return f"it fails there: {in_a_line(error)}"
    where = first.first_difference(second)
    return f"from the same state and generators, {where} differs first" if where else ""


def _strict(subject: Subject, batch: tuple[Tensor, Tensor]) -> str:
    """What torch says if it is asked for deterministic algorithms only."""
    before = torch.are_deterministic_algorithms_enabled()
    warns = torch.is_deterministic_algorithms_warn_only_enabled()
    try:
        torch.use_deterministic_algorithms(mode=True)
        with untouched(subject.model):
            _passed(subject, batch)
    except Exception as error:  # noqa: BLE001 - the answer is what it says
        return first_line(error)
    finally:
        torch.use_deterministic_algorithms(mode=before, warn_only=warns)
    return "torch knows of no operation here that does not repeat"


def _how_far(value: float) -> str:
    if math.isinf(value):
        return "gives another shape, or numbers that are not finite"
    return f"differs by {value:.2g}"


def _remedy(cause: str) -> str:
    if "global" in cause:
        return "draw in train mode only, as F.dropout(..., training=self.training) does"
    if "own" in cause:
        return "draw and count in train mode only, or begin from a stated seed in each pass"
    return (
        "torch.use_deterministic_algorithms(True), in a recipe [train] deterministic = true, names "
        "the operation, or replaces it"
    )


def _same(mine: object, theirs: object) -> bool:
    pairs = list(zip(tensors_in(mine), tensors_in(theirs), strict=False))
    return all(same_bits(a, b) for a, b in pairs)


def _relative(mine: Tensor, theirs: Tensor) -> float:
    if mine.shape != theirs.shape or not mine.numel():
        return math.inf if mine.shape != theirs.shape else 0.0
    if same_bits(mine, theirs):
        return 0.0
    a, b = mine.detach().double(), theirs.detach().double()
    size = max(float(a.square().mean().sqrt()), float(b.square().mean().sqrt()))
    found = float((a - b).abs().max()) / size if size else 0.0
    return found if math.isfinite(found) else math.inf


def _figures(first: Pass, second: Pass) -> tuple[Listing, ...]:
    """The first calls that differ."""
    rows = []
    for mine, theirs in zip(first.calls, second.calls, strict=False):
        pairs = zip(tensors_in(mine.output), tensors_in(theirs.output), strict=False)
        size = max((_relative(a, b) for a, b in pairs), default=0.0)
        if size:
            rows.append((mine.place, f"{size:.2g}"))
    title = "Modules that differ, in the order of the forward pass"
    return (Listing(title, ("module", "relative difference"), tuple(rows[:12])),) if rows else ()


CHECK = Check(
    determinism,
    family="derivatives",
    question="Does the network give the same numbers when it is asked again?",
    cost=lambda _, examples=16: 4 * examples,
    batch=16,
    settings={"quick": {"examples": 8}, "standard": {}, "deep": {"examples": 64}},
)
