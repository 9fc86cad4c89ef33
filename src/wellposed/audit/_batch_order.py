"""Does what the network says of an example depend on the others in its batch?"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from wellposed.audit._check import Check, forward
from wellposed.audit._subject import Subject
from wellposed.audit._trace import Call, tensors_in, traced
from wellposed.audit._twin import Twin, twin
from wellposed.errors import in_a_line, require
from wellposed.runs import Bars, Finding, Mark, Threshold, Verdict


@final
@dataclass(frozen=True)
class Shift:
    """A change of the batch that must not matter, and how much it does.

    Args:
        name: "another order".
        value: Largest change of an output or loss, relative to their size.
    """

    name: str
    value: float


def batch_order(subject: Subject, *, examples: int = 16) -> Finding:
    r"""Change the batch around an example, and compare what the network says of it.

    In eval mode outputs and losses of an example must not change with the order of the batch, with
    its size, or with the other examples in it; nor the mean loss with the order. Everything runs on
    a copy in float64, where rounding is far below any dependence. What rounding may do is measured:
    a change of all weights by a relative $\varepsilon$, as in an analysis of backward errors.
    Where outputs depend on their company, the first module that does is named.

    Args:
        subject: The network and its loss.
        examples: At least 4.

    Cost: about seven forward passes per example.

    Raises `ArgumentError` if there are fewer than four examples, the network cannot be copied, or
    gives other outputs when asked again.

    References:
        Higham, Accuracy and stability of numerical algorithms, 2002, chapters 1 and 3.
    """
    with subject.quiet(), torch.no_grad():
        made = twin(subject, "batch-order", examples)
        x = made.inputs
        require(
            len(x) >= 4,
            f"batch-order needs at least 4 examples, and the data have {len(x)}; give more",
        )
        outputs = made.model(x)
        require(
            torch.equal(outputs, made.model(x)),
            "batch-order needs a network that repeats itself in eval mode, and this one does not; "
            "the check of determinism says where",
        )
        shifts, broken = _shifts(made, outputs, subject.generator("batch-order"))
        company = next(s for s in shifts if s.name == "other company").value
        tolerance = max(1e4 * made.eps, 1000 * _rounding(made, outputs, subject))
        culprit = _culprit(made, tolerance) if company > tolerance else ""
    worst = max(shifts, key=lambda shift: shift.value)
    threshold = Threshold(
        tolerance,
        "above",
        "arithmetic",
        "the larger of 1e4 eps and 1000 times what a change of the weights by a relative eps does",
    )
    verdict = threshold.judge((worst.value, worst.value))
    if verdict is Verdict.FAIL:
        said = f"What is said of an example changes by {worst.value:.2g} with {worst.name}"
        said += f", first in {culprit}" if culprit else ""
    elif broken:
        verdict = Verdict.WARN
        said = f"The network takes batches of {len(x)}, and fails with {broken}"
    else:
        said = (
            f"Order, size and company of the batch change outputs and losses by {worst.value:.1g} "
            "at most, which is rounding"
        )
    return Finding(
        check="batch-order",
        verdict=verdict,
        statement=said + ".",
        value=worst.value,
        interval=(worst.value, worst.value),
        unit="relative change",
        threshold=threshold,
        where=culprit,
        evidence={
            "examples": len(x),
            "precision": made.precision,
            "changes": {shift.name: shift.value for shift in shifts},
            "largest_of": "all examples and outputs that were tested; there is no interval",
            "seed": subject.seed,
        },
        verified="the same outputs from the batch in another order, in pieces, one by one and in "
        f"other company; rounding measured in {made.precision}",
        remedy=_remedy(worst.name, verdict),
        figures=(
            Bars(
                "What a change of the batch does",
                tuple(s.name for s in shifts),
                tuple(max(s.value, 1e-18) for s in shifts),
                y_label="relative change",
                log=True,
                marks=(Mark("y", tolerance, "rounding"),),
            ),
        ),
    )


def _shifts(made: Twin, outputs: Tensor, generator: torch.Generator) -> tuple[list[Shift], str]:
    """All changes of the batch; and for which of them the network fails."""
    x, y, n = made.inputs, made.targets, len(made.inputs)
    order = torch.randperm(n, generator=generator).to(x.device)
    losses = made.losses(outputs, y)
    half, few = n // 2, min(n, 4)
    stranger = torch.cat([x[:1], x[half:]])

    def pieces() -> Tensor:
        return torch.cat([made.model(x[:half]), made.model(x[half : n - 1]), made.model(x[-1:])])

    def singles() -> Tensor:
        return torch.cat([made.model(x[i : i + 1]) for i in range(few)])

    def single_losses() -> Tensor:
        return torch.cat([made.losses(outputs[i : i + 1], y[i : i + 1]) for i in range(few)])

    tests: list[tuple[str, Callable[[], Tensor], Tensor]] = [
        ("another order", lambda: made.model(x[order]), outputs[order]),
        ("other sizes", pieces, outputs),
        ("one alone", singles, outputs[:few]),
        ("other company", lambda: made.model(stranger)[:1], outputs[:1]),
        (
            "another order, in the loss",
            lambda: made.losses(outputs[order], y[order]),
            losses[order],
        ),
        ("one alone, in the loss", single_losses, losses[:few]),
        (
            "another order, in the mean loss",
            lambda: made.losses(outputs[order], y[order]).mean()[None],
            losses.mean()[None],
        ),
    ]
    found, broken = [], ""
    for name, test, right in tests:
        size = (losses if "loss" in name else outputs).double().square().mean().sqrt()
        try:
            change = float((test() - right).double().abs().max() / size.clamp_min(1e-300))
        except Exception as error:  # noqa: BLE001 - a network that asks for one size of batch
            broken, change = broken or f"{name} of it: {in_a_line(error)}", 0.0
        found.append(Shift(name, change))
    return found, broken


def _rounding(made: Twin, outputs: Tensor, subject: Subject) -> float:
    """What a relative change by eps of all weights, or else of the inputs, does to the outputs."""
    generator = subject.generator("batch-order rounding")
    values: list[Tensor] = [p for p in made.model.parameters() if p.is_floating_point()]
    values = values or [v for v in (made.inputs,) if v.is_floating_point()]
    kept = [v.detach().clone() for v in values]
    for v in values:
        sign = torch.randint(0, 2, v.shape, generator=generator).to(v) * 2 - 1
        v.mul_(1 + made.eps * sign)
    changed = made.model(made.inputs)
    for v, old in zip(values, kept, strict=True):
        v.copy_(old)
    size = outputs.double().square().mean().sqrt().clamp_min(1e-300)
    return float((changed - outputs).double().abs().max() / size)


def _culprit(made: Twin, tolerance: float) -> str:
    """The first module whose output for the first example changes with the others."""
    x = made.inputs
    half = len(x) // 2
    found: list[list[Call]] = []
    for batch in (x[: len(x) - half + 1], torch.cat([x[:1], x[half:]])):
        with traced(made.model) as calls:
            made.model(batch)
        found.append(calls)
    for mine, theirs in zip(found[0], found[1], strict=False):
        for a, b in zip(tensors_in(mine.output), tensors_in(theirs.output), strict=False):
            rows = a.dim() and a.shape == b.shape and len(a) == len(x) - half + 1
            if not rows or not a.is_floating_point():
                continue
            size = a.double().square().mean().sqrt().clamp_min(1e-300)
            if float((a[0] - b[0]).double().abs().max() / size) > tolerance:
                return mine.place
    return ""


def _remedy(name: str, verdict: Verdict) -> str:
    if verdict is not Verdict.FAIL:
        return ""
    if "loss" in name:
        return "let the loss of an example depend on its own output and target; average afterwards"
    return (
        "in eval mode use running statistics instead of those of the batch, and let no operation "
        "mix dimension 0; a prediction for one example alone is another one now"
    )


CHECK = Check(
    batch_order,
    family="derivatives",
    question="Does what it says of an example depend on the others in the batch?",
    cost=lambda _, examples=16: forward(7 * examples),
    batch=16,
    settings={"quick": {"examples": 8}, "standard": {}, "deep": {"examples": 64}},
)
