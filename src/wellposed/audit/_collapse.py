"""Do inputs merge, or scatter, on their way through the layers?"""

import math

import numpy as np
import torch
from torch import nn

from wellposed.audit._cause import law
from wellposed.audit._chain import as_in_training
from wellposed.audit._check import Check, at_hand, forward
from wellposed.audit._cure import cure
from wellposed.audit._drift import LEVEL, MUCH
from wellposed.audit._sites import Trace, record
from wellposed.audit._spread import Spread, predicted_distances, spreads_of
from wellposed.audit._subject import Subject
from wellposed.runs import Curves, Finding, Series, Verdict

_RANK = {Verdict.PASS: 0, Verdict.UNKNOWN: 1, Verdict.WARN: 2, Verdict.FAIL: 3}


def collapse(subject: Subject, *, examples: int = 256) -> Finding:
    r"""Follow the distance of inputs from layer to layer.

    For pairs of distinct inputs, $\|x - y\|^2 / (\|x\|^2 + \|y\|^2)$ of what a layer gives, which
    is 1 less their correlation where both are of one size; and the same for an input and itself
    perturbed by 0.1 % behind the first layer. Biases hold up the size of activations while all
    inputs merge, so that sizes alone do not show it (see `signal`). It warns where distances
    change tenfold along a chain of layers of one kind, beyond the band of critical random weights
    (a thousandfold, for near inputs where layers are normalized), and fails where distinct inputs
    end closer than 16 rounding errors of float32.

    Args:
        subject: The network and its data.
        examples: At most so many, in disjoint pairs.

    Cost: three forward passes, and another two per remedy that is tried on a copy.

    Raises `ArgumentError` if there are fewer than four distinct inputs, or fewer than two layers.

    References:
        Poole, Lahiri, Raghu, Sohl-Dickstein and Ganguli, Exponential expressivity in deep neural
        networks through transient chaos, 2016, arXiv:1606.05340; Schoenholz, Gilmer, Ganguli and
        Sohl-Dickstein, Deep information propagation, 2017, arXiv:1611.01232.
    """
    part = "train" if "train" in subject.parts else subject.judged
    trace, spreads, pairs = spreads_of(subject, subject.model, part, examples)
    worst = max(spreads, key=lambda s: (_RANK[s.verdict], s.factor))
    remedy, healed = "", None
    if worst.verdict in {Verdict.WARN, Verdict.FAIL}:

        def largest(model: nn.Module) -> float:
            found = spreads_of(subject, model, part, examples)[1]
            return max(s.factor for s in found if s.near is worst.near)

        cured = cure(subject, largest, enough=MUCH.value / 2)
        healed = cured.value
        remedy = "initialize so that small differences keep their size, normalize, or add residual "
        remedy += "connections"
        if healed is not None:
            remedy += f"; tried on a copy, {cured.words} is best, with a factor of {healed:.3g}"
    return Finding(
        check="collapse",
        verdict=worst.verdict,
        statement=_statement(trace, spreads, worst),
        value=worst.factor,
        interval=worst.interval,
        level=LEVEL,
        unit="times",
        threshold=worst.threshold,
        where=_ends(trace, worst),
        evidence={
            "pairs": pairs,
            "part": part,
            "seed": subject.seed,
            "chains": [_told(s) for s in spreads],
        },
        verified=_without_hooks(subject, trace, part),
        remedy=remedy,
        remedied=healed,
        figures=_figures(spreads),
    )


def _statement(trace: Trace, spreads: list[Spread], worst: Spread) -> str:
    if worst.verdict in {Verdict.PASS, Verdict.UNKNOWN}:
        said = "; ".join(
            f"{'near' if s.near else 'distinct'} inputs from {s.trend.sizes[0]:.2g} to "
            f"{s.trend.sizes[-1]:.2g} over {len(s.sites)} {s.chain.kind} layers"
            for s in spreads
        )
        head = (
            "Inputs neither merge nor scatter"
            if worst.verdict is Verdict.PASS
            else f"Whether inputs merge or scatter is not certain at {LEVEL:.0%}"
        )
        return f"{head}; relative distances of {said}."
    along = worst.trend
    step = max(along.step, 1 / along.step)
    what = "Inputs scatter" if worst.near else "Inputs merge"
    whose = "of an input and its perturbation" if worst.near else "of two inputs"
    way = "grow" if worst.near else "shrink"
    known = [t for t in worst.theory if t is not None]
    reason = "; no closed form fits"
    if known and 2 * len(known) >= len(worst.theory):
        factor = math.exp(np.mean([0.5 * math.log(max(t.merging, 1e-300)) for t in known]))
        variance = float(np.median([t.field.weight for t in known]))
        reason = (
            ": most weights are 0"
            if variance == 0
            else f": {law(trace, worst.chain, variance)}, which multiplies small differences by "
            f"{factor:.3g} per layer in theory, relative to the size of activations"
        )
    return (
        f"{what}: relative distances {whose} {way} {step:.3g} times per layer, from "
        f"{along.sizes[0]:.2g} to {along.sizes[-1]:.2g} over {len(worst.sites)} "
        f"{worst.chain.kind} layers, {_ends(trace, worst)}{reason}."
    )


def _ends(trace: Trace, spread: Spread) -> str:
    first, last = spread.sites[0], spread.sites[-1]
    return f"{trace.sites[first].name} to {trace.sites[last].name}"


def _told(s: Spread) -> dict[str, object]:
    return {
        "kind": s.chain.kind,
        "layers": len(s.sites),
        "of": "near inputs" if s.near else "distinct inputs",
        "first": float(s.trend.sizes[0]),
        "last": float(s.trend.sizes[-1]),
        "per layer": s.trend.step,
        "factor": s.factor,
        "band": s.trend.band,
        "verdict": s.verdict.value,
    }


def _without_hooks(subject: Subject, trace: Trace, part: str) -> str:
    """The outputs of the network left alone, against those with hooks."""
    inputs = subject.take(part, trace.examples)[0]
    with as_in_training(subject.model), torch.no_grad():
        plain = subject.model(inputs)
        again = record(subject.model, inputs).outputs
    off = float((plain - again).abs().max())
    scale = max(float(plain.abs().max()), 1e-300)
    agrees = "equal" if off <= 1e-5 * scale else f"DIFFERENT by {off / scale:.1g}"
    return f"outputs with hooks against those of the network left alone: {agrees}"


def _figures(spreads: list[Spread]) -> tuple[Curves, ...]:
    """Distances by layer, with the prediction of the correlation map."""
    lines = []
    longest = max(len(s.sites) for s in spreads)
    several = len({s.chain.kind for s in spreads}) > 1
    for s in spreads:
        if len(s.sites) < longest:
            continue
        x = tuple(float(k + 1) for k in range(len(s.sites)))
        tag = f" ({s.chain.kind})" if several else ""
        y, low, high = (tuple(map(float, v)) for v in (s.trend.sizes, s.trend.low, s.trend.high))
        name = "an input and its perturbation" if s.near else "two inputs"
        lines.append(Series(name + tag, x, y, low, high))
        if any(t is not None for t in s.theory) and not s.near:
            lines.append(Series("mean-field theory" + tag, x, predicted_distances(s), faint=True))
    note = f"Root mean square over pairs, with intervals at {LEVEL:.0%}; 1 for unrelated inputs."
    return (
        Curves("Distance of inputs by layer", "layer", "relative distance", tuple(lines),
               log_y=True, note=note),
    )  # fmt: skip


CHECK = Check(
    collapse,
    family="signal",
    question="Do inputs merge, or scatter, on their way through the layers?",
    cost=lambda subject, examples=256: forward(4 * at_hand(subject, examples)),
    settings={"quick": {"examples": 128}, "standard": {}, "deep": {"examples": 1024}},
)
