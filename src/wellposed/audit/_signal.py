"""Do activations and gradients keep their size through depth?"""

import math

import numpy as np
import torch
from torch import Tensor, nn

from wellposed.audit._cause import cause, looks_trained
from wellposed.audit._chain import Propagation, propagate
from wellposed.audit._check import Check, at_hand
from wellposed.audit._cure import Cure, Measure, anew, cure
from wellposed.audit._drift import LEVEL, MUCH, Drift, drifts_of
from wellposed.audit._layer_figures import size_figures
from wellposed.audit._subject import Subject
from wellposed.runs import Finding, Threshold, Verdict

_RANK = {Verdict.PASS: 0, Verdict.UNKNOWN: 1, Verdict.WARN: 2, Verdict.FAIL: 3}


def signal(subject: Subject, *, examples: int = 128) -> Finding:
    r"""Follow activations forward and gradients backward, layer by layer.

    Per layer, the root mean square of what it gives, and the norm of the gradient there, of a
    random combination of the outputs and of the loss. Along each chain of layers of one kind, a
    robust slope of their logarithms; a trend counts where it leaves the band of critical random
    weights and one end is 10 times the other, and fails at 1,000 (gradients only: where layers are
    normalized, which adapts the size of their weights to that of their gradients, it warns there
    and fails at $2^{24}$). Between layers with only a function between them, mean-field theory
    predicts both from the variance of the weights (`MeanField`).

    Batch normalization works by the batch, as in training, and dropout is off. A remedy is applied
    to a copy, and the copy is measured.

    Args:
        subject: The network, its data and loss.
        examples: At most so many; fewer where the layers of a network would not fit into memory.

    Cost: a forward and two backward passes, and where a trend is found, one of each per remedy
    that is tried on a copy: at most five.

    Raises `ArgumentError` if hooks see fewer than two layers with weights.

    References:
        Schoenholz, Gilmer, Ganguli and Sohl-Dickstein, Deep information propagation, 2017,
        arXiv:1611.01232; Glorot and Bengio, Understanding the difficulty of training deep
        feedforward neural networks, 2010.
    """
    part = "train" if "train" in subject.parts else subject.judged
    found = propagate(subject, subject.model, part, examples)
    broken = _not_finite(found)
    if broken is not None:
        return broken
    drifts = drifts_of(found, subject)
    worst = max(drifts, key=lambda d: (_RANK[d.verdict], d.total))
    healed, remedy = None, ""
    if worst.verdict in {Verdict.WARN, Verdict.FAIL}:
        measure = _measure(subject, part, found.trace.examples)
        healed = cure(subject, measure, enough=MUCH.value / 2)
        remedy = _remedy(subject, found, worst, healed)
    return Finding(
        check="signal",
        verdict=worst.verdict,
        statement=_statement(found, drifts, worst),
        value=worst.total,
        interval=worst.interval,
        level=LEVEL,
        unit="times",
        threshold=worst.threshold,
        where=_ends(found, worst),
        evidence=_evidence(subject, found, drifts, part, healed),
        verified=adjoint_identity(found, subject),
        remedy=remedy,
        remedied=None if healed is None or healed.value == math.inf else healed.value,
        figures=size_figures(found, drifts),
    )


def _measure(subject: Subject, part: str, examples: int) -> Measure:
    def worst(model: nn.Module) -> float:
        found = propagate(subject, model, part, examples, loss=False)
        if _not_finite(found) is not None:
            return math.inf
        return max(d.total for d in drifts_of(found, subject))

    return worst


def adjoint_identity(found: Propagation, subject: Subject) -> str:
    """The gradients that hooks caught, against the layers themselves: <Wv, g> = <v, W'g>."""
    linear = [n for n, s in enumerate(found.trace.sites) if s.matrix is not None]
    linear = [n for n in linear if found.given[n] is not None and found.gives[n] is not None]
    generator = subject.generator("adjoint")
    errors = []
    for number in {*linear[:1], *linear[len(linear) // 2 : len(linear) // 2 + 1], *linear[-1:]}:
        site, g, down = found.site(number), found.gives[number], found.given[number]
        if g is None or down is None or not g.any():
            continue
        v = torch.randn(down.shape, generator=generator).to(down)
        with torch.no_grad():
            image = site.module.forward(v) - site.module.forward(torch.zeros_like(v))
        left, right = _inner(image, g), _inner(v, down)
        size = float(image.double().norm() * g.double().norm())
        errors.append(abs(left - right) / size if size else abs(right))  # weights that are 0
    if not errors:
        return "no linear layer passes a gradient, so there was nothing to check gradients against"
    agrees = "equal" if max(errors) < 1e-4 else "DIFFERENT"
    return (
        f"gradients caught by hooks against the layer run forward, <Wv, g> = <v, W'g>, at "
        f"{len(errors)} layers: {agrees} to {max(errors):.1g}"
    )


def _inner(a: Tensor, b: Tensor) -> float:
    return float((a.detach().double() * b.detach().double()).sum())


def _not_finite(found: Propagation) -> Finding | None:
    """The finding for outputs or gradients that are not finite, if there are any."""
    for row, what in ((found.forward, "activations"), (found.backward[::-1], "gradients")):
        wrong = ~np.isfinite(row).all(1)
        if wrong.any():
            first = int(wrong.argmax())
            number = first if what == "activations" else len(row) - 1 - first
            name = found.site(number).name
            return Finding(
                "signal",
                Verdict.FAIL,
                f"From finite weights and inputs, {what} are not finite, first at {name}.",
                value=math.inf,
                interval=(math.inf, math.inf),
                unit="times",
                threshold=Threshold(3e38, "above", "arithmetic", "the greatest float32"),
                where=name,
                verified="recounted: the finite ones are finite in every earlier layer"
                if bool(np.isfinite(row[:first]).all())
                else "",
                remedy=f"smaller weights at the start ({anew()}), or normalization",
            )
    return None


def _statement(found: Propagation, drifts: list[Drift], worst: Drift) -> str:
    if worst.verdict in {Verdict.PASS, Verdict.UNKNOWN}:
        parts = [
            f"{'gradients' if d.backward else 'activations'} by {d.trend.total:.3g} over "
            f"{len(d.chain.sites)} {d.chain.kind} layers"
            for d in drifts
        ]
        said = "; ".join(parts)
        if worst.verdict is Verdict.PASS and worst.total > MUCH.value:
            chance = worst.trend.band
            said += (
                ", which normalized layers adapt to"
                if worst.chain.normalized
                else f", and by up to {chance:.3g} by chance in layers this narrow"
            )
        if worst.verdict is Verdict.UNKNOWN:
            return f"Whether sizes are kept is not certain at {LEVEL:.0%}; they change: {said}."
        return f"Activations and gradients keep their size; they change: {said}."
    layers = f"{len(worst.chain.sites)} {worst.chain.kind} layers, {_ends(found, worst)}"
    why = cause(found, worst.chain, worst.theory, backward=worst.backward)
    reason = f": {why}" if why else "; no closed form fits"
    if worst.lost:
        count = worst.lost
        return f"Gradients are exactly 0 at the first {count} of {layers}{reason}."
    step = 1 / worst.trend.step if worst.backward else worst.trend.step
    factor = max(step, 1 / step)
    way = "shrink" if step < 1 else "grow"
    what = "Gradients on their way back" if worst.backward else "Activations"
    jump = worst.trend.jump
    if jump is not None:
        at = found.site(worst.sites[jump]).name
        return f"{what} change {worst.total:.3g} times at {at}, of {layers}{reason}."
    return (
        f"{what} {way} {factor:.3g} times per layer, {worst.total:.3g} times over {layers}{reason}."
    )


def _ends(found: Propagation, drift: Drift) -> str:
    first, last = drift.chain.sites[0], drift.chain.sites[-1]
    return f"{found.site(first).name} to {found.site(last).name}"


def _remedy(subject: Subject, found: Propagation, worst: Drift, healed: Cure) -> str:
    if healed.value is None:
        return (
            f"initialize the layers anew ({anew()}), normalize, or add residual connections; "
            " nothing could be tried, since the model cannot be copied or has no "
            "linear or convolution layers"
        )
    if math.isinf(healed.value):
        tried = ", ".join(healed.tried)
        return f"add residual connections or normalize: on copies nothing helped of {tried}"
    shown = f"the largest factor of any chain is then {healed.value:.3g}"
    if healed.value < MUCH.value:
        text = f"{healed.words}; tried on a copy, {shown}"
    else:
        text = f"add residual connections; of what was tried, {healed.words} is best, and {shown}"
    matrices = [m for m in (found.site(n).matrix for n in worst.chain.sites) if m is not None]
    if _was_trained(subject) or looks_trained(matrices):
        text += "; these weights are trained, and the remedy is for a training from the start"
    return text


def _was_trained(subject: Subject) -> bool:
    state = subject.model.state_dict()
    return subject.initial is not None and any(
        name in state and not torch.equal(value.to(state[name].device), state[name])
        for name, value in subject.initial.items()
    )


def _evidence(
    subject: Subject, found: Propagation, drifts: list[Drift], part: str, healed: Cure | None
) -> dict[str, object]:
    seen = {id(site.module) for site in found.trace.sites}
    unseen = [
        name
        for name, module in subject.model.named_modules()
        if id(module) not in seen and any(True for _ in module.parameters(recurse=False))
    ]
    unknown = sum(phi is None for chain in found.chains for _, phi in chain.between)
    return {
        "examples": int(found.forward.shape[1]),
        "part": part,
        "seed": subject.seed,
        "chains": [
            {
                "kind": d.chain.kind,
                "layers": len(d.chain.sites),
                "of": "gradients" if d.backward else "activations",
                "factor": d.total,
                "per layer": 1 / d.trend.step if d.backward else d.trend.step,
                "band": d.trend.band,
                "verdict": d.verdict.value,
            }
            for d in drifts
        ],
        "factor with the loss": _with_loss(found),
        "not seen by hooks": unseen[:20],
        "pairs of layers without a prediction": unknown,
        "remedies tried": {} if healed is None else healed.tried,
    }


def _with_loss(found: Propagation) -> list[float]:
    """First over last gradient of each chain, for the loss of the examples."""
    if found.loss is None:
        return []
    sizes = np.sqrt(found.loss.mean(1))
    ends = [(sizes[c.sites[0]], sizes[c.sites[-1]]) for c in found.chains]
    return [float(a / b) if b > 0 else math.nan for a, b in ends]


CHECK = Check(
    signal,
    family="signal",
    question="Do activations and gradients keep their size through depth?",
    cost=lambda subject, examples=128: 2 * at_hand(subject, examples),
    settings={"quick": {"examples": 64}, "standard": {}, "deep": {"examples": 512}},
)
