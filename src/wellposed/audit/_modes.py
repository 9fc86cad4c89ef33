"""Do train and eval mode fit together?"""

import math
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import nn

from wellposed.audit._check import Check, at_hand, forward
from wellposed.audit._statistics import Watched, watched
from wellposed.audit._subject import Subject
from wellposed.audit._trace import tensors_in, traced
from wellposed.audit._untouched import same_bits, untouched
from wellposed.errors import require
from wellposed.runs import Bars, Finding, Mark, Threshold, Verdict
from wellposed.stats import mean_interval, paired_difference

LEVEL = 0.95
HALF = 0.5
"""Running statistics that are off by half a standard deviation are stale, by convention."""


@final
@dataclass(frozen=True)
class Measured:
    """What was measured in both modes.

    Args:
        evaluated: Mean loss of each batch in eval mode.
        trained: In train mode.
        norms: Normalizations with running statistics.
        draws: The first module that draws in eval mode, or "".
        moved: How far a running mean moved by what its batch's mean says, relative; nan if none.
    """

    evaluated: list[float]
    trained: list[float]
    norms: list[Watched]
    draws: str
    moved: float

    @property
    def gap(self) -> float | None:
        """Mean loss in eval mode minus that in train mode; None where one is not finite."""
        gap = [e - t for e, t in zip(self.evaluated, self.trained, strict=True)]
        return sum(gap) / len(gap) if all(map(math.isfinite, gap)) else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Of the gap."""
        if self.gap is None:
            return None
        return paired_difference(self.evaluated, self.trained, LEVEL)


def modes(subject: Subject, *, batches: int = 8, batch_size: int = 64) -> Finding:
    r"""Compare train mode with eval mode: what normalizes, what draws, and the loss.

    For each batch normalization the running mean and variance are compared with those of batches in
    train mode: off by more than half a standard deviation, or by a factor $e^{1/2}$ in it, beyond
    what chance explains, they are stale. How much of their initial values (0 and 1) they still
    hold follows from momentum and the count of batches, $(1 - m)^n$. Dropout that is left on in
    eval mode is seen by two passes that differ. The loss in eval mode should not be much above
    that in train mode, which bears the dropout.

    Args:
        subject: The network and its loss.
        batches: Of the training part, or of the part judged; at least 2.
        batch_size: Examples per batch, at least 2; fewer where there are too few for all batches.

    Cost: two forward passes per example.

    Raises `ArgumentError` if there are not enough examples for two batches.

    References:
        Ioffe and Szegedy, Batch normalization: accelerating deep network training by reducing
        internal covariate shift, 2015.
    """
    part = "train" if "train" in subject.parts else subject.judged
    held = len(subject.parts[part])
    size = min(batch_size, max(held // batches, min(4, held // 2)))
    require(
        size >= 2 and batches >= 2,
        f"modes needs two batches of at least 2 examples, and {part} has "
        f"{len(subject.parts[part])}; give more",
    )
    measured = _measured(subject, part, batches, size)
    interval, value = measured.interval, measured.gap
    usual = sum(measured.trained) / len(measured.trained)
    threshold = Threshold(
        max(0.1, 0.25 * abs(usual)) if interval else 0.1,
        "above",
        "convention",
        "a quarter of the loss in train mode, and at least 0.1",
    )
    reasons = _reasons(measured)
    verdict = Verdict.UNKNOWN if interval is None else threshold.judge(interval)
    if verdict is Verdict.WARN:
        reasons.append("the loss in eval mode is far above that in train mode")
    if reasons:
        verdict = Verdict.WARN
    said = _said(measured)
    return Finding(
        check="modes",
        verdict=verdict,
        statement=said + ("; " + "; ".join(reasons[:3]) if reasons else "") + ".",
        value=value,
        interval=interval,
        level=LEVEL,
        unit="loss",
        threshold=threshold,
        where=", ".join(w.name for w in measured.norms if _stale(w)) or measured.draws,
        evidence=_evidence(subject, measured, part, size),
        verified=_verified(measured),
        remedy=_remedy(measured, reasons),
        figures=_figures(measured),
    )


@torch.no_grad()
def _measured(subject: Subject, part: str, batches: int, size: int) -> Measured:
    data = list(zip(*(t.split(size) for t in subject.take(part, batches * size)), strict=True))
    data = [(x, y) for x, y in data if len(x) == size]
    model = subject.model
    evaluated, trained = [], []
    with untouched(model), subject.quiet(), torch.no_grad():
        evaluated = [float(subject.losses(model(x), y).mean()) for x, y in data]
        draws = _draws(model, data[0][0])
    moved = math.nan
    with untouched(model), watched(model) as norms:
        torch.manual_seed(subject.seed)
        for x, y in data:
            model.train()
            trained.append(float(subject.losses(model(x), y).mean()))
            if math.isnan(moved):
                moved = _moved(norms)
    return Measured(evaluated, trained, [w for w in norms if w.means], draws, moved)


def _draws(model: nn.Module, inputs: torch.Tensor) -> str:
    """The first module whose outputs differ in two passes in eval mode."""
    with traced(model) as first:
        model(inputs[:16])
    with traced(model) as second:
        model(inputs[:16])
    for a, b in zip(first, second, strict=False):
        pairs = zip(tensors_in(a.output), tensors_in(b.output), strict=False)
        if not all(same_bits(x, y) for x, y in pairs):
            return a.place
    return ""


def _moved(norms: list[Watched]) -> float:
    """How far the first running mean moved, against the momentum times what was watched."""
    for w in norms:
        momentum, now = w.module.momentum, w.module.running_mean
        if momentum and len(w.means) == 1 and now is not None:
            expected = (1 - momentum) * w.mean + momentum * w.means[0]
            scale = expected.abs().max() + w.variances[0].max().sqrt()
            return float((now.double() - expected).abs().max() / scale.clamp_min(1e-30))
    return math.nan


def _stale(w: Watched) -> bool:
    off = any(value - 4 * chance > HALF for value, chance in (w.shift, w.stretch))
    return off or w.remaining > 0.01


def _said(measured: Measured) -> str:
    if measured.interval is None:
        wrong = [
            f"{sum(not math.isfinite(loss) for loss in losses)} of {len(losses)} batches in {mode}"
            for losses, mode in ((measured.evaluated, "eval"), (measured.trained, "train"))
        ]
        return f"The loss is not finite on {wrong[0]} mode, and on {wrong[1]} mode"
    low, high = measured.interval
    shown = f"{measured.gap:+.3g} [{low:+.3g}, {high:+.3g}]"
    return f"The loss in eval mode is {shown} from that in train mode"


def _reasons(measured: Measured) -> list[str]:
    found = []
    pairs = zip(measured.evaluated, measured.trained, strict=True)
    if any(math.isfinite(t) and not math.isfinite(e) for e, t in pairs):
        found.append("train mode does not have what makes the loss in eval mode not finite")
    never = [w for w in measured.norms if w.remaining == 1]
    early = [w for w in measured.norms if 0.01 < w.remaining < 1]
    stale = [w for w in measured.norms if _stale(w) and w not in never and w not in early]
    if never:
        found.append(
            f"the running statistics of {len(never)} batch normalizations were never updated, "
            f"first {never[0].name}"
        )
    if early:
        worst = max(early, key=lambda w: w.remaining)
        found.append(
            f"the running statistics of {worst.name} are {100 * worst.remaining:.0f} % their "
            "initial values"
        )
    if stale:
        first = stale[0]
        found.append(
            f"the running statistics of {first.name} are stale: the mean is off by "
            f"{first.shift[0]:.2g} standard deviations, and those by a factor "
            f"{math.exp(min(first.stretch[0], 700)):.3g}"
        )
    if measured.draws:
        found.append(f"{measured.draws} still draws in eval mode")
    return found


def _evidence(subject: Subject, measured: Measured, part: str, size: int) -> dict[str, Any]:
    names = [(n or "the network", m) for n, m in subject.model.named_modules()]
    training = [n for n, m in names if m.training]
    return {
        "part": part,
        "batches": len(measured.trained),
        "batch_size": size,
        "found_in_train_mode": f"{len(training)} of {len(names)} modules",
        "loss_in_eval_mode": list(mean_interval(measured.evaluated, LEVEL))
        if all(map(math.isfinite, measured.evaluated))
        else None,
        "normalizations": [
            {
                "name": w.name,
                "mean_off": w.shift[0],
                "by_chance": w.shift[1],
                "log_sd_off": w.stretch[0],
                "log_sd_by_chance": w.stretch[1],
                "initial_values_left": w.remaining,
                "momentum": w.module.momentum,
            }
            for w in measured.norms[:50]
        ],
        "draws_in_eval_mode": measured.draws,
        "seed": subject.seed,
    }


def _verified(measured: Measured) -> str:
    if math.isnan(measured.moved):
        return "the losses of both modes on the same batches; no running statistics that move"
    agrees = measured.moved < 1e-2
    return (
        "the first running mean moved by the momentum times the batch's mean that was watched: "
        f"{'equal' if agrees else 'DIFFERENT'} to {measured.moved:.1g}"
    )


def _remedy(measured: Measured, reasons: list[str]) -> str:
    if any(_stale(w) for w in measured.norms):
        return (
            "pass a few hundred training batches through the network in train mode without "
            "updating weights, with momentum=None for a plain average"
        )
    if measured.draws:
        return "let it draw in train mode only: F.dropout(..., training=self.training)"
    return (
        "look at what the modules do in eval mode that they do not in training" if reasons else ""
    )


def _figures(measured: Measured) -> tuple[Bars, ...]:
    """How far running statistics are off, layer by layer."""
    if not measured.norms:
        return ()
    shown = measured.norms[:40]
    return (
        Bars(
            "Running mean against batches",
            tuple(w.name for w in shown),
            tuple(w.shift[0] for w in shown),
            tuple(max(0.0, w.shift[0] - 4 * w.shift[1]) for w in shown),
            tuple(w.shift[0] + 4 * w.shift[1] for w in shown),
            y_label="standard deviations off",
            marks=(Mark("y", HALF, "stale"),),
            note="Whiskers: four times what chance explains.",
        ),
    )


CHECK = Check(
    modes,
    family="derivatives",
    question="Do train and eval mode fit together?",
    cost=lambda subject, batches=8, batch_size=64: forward(
        2 * at_hand(subject, batches * batch_size)
    ),
    batch=64,
    settings={
        "quick": {"batches": 4, "batch_size": 32},
        "standard": {},
        "deep": {"batches": 32, "batch_size": 128},
    },
)
