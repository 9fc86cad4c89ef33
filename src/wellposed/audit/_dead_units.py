"""Are there units that pass nothing, whatever the input?"""

from statistics import NormalDist

import torch
from torch import Tensor

from wellposed.audit._check import Check, at_hand, forward
from wellposed.audit._cure import anew
from wellposed.audit._sites import record
from wellposed.audit._subject import Subject
from wellposed.audit._units import Units, activations, count_units, mode
from wellposed.errors import require
from wellposed.runs import Bars, Finding, Mark, Threshold, Verdict
from wellposed.stats import clopper_pearson

LEVEL = 0.95
_HALF = 0.5
_BARS = 40

COIN = Threshold(
    _HALF,
    "above",
    "null distribution",
    "under independent symmetric weights without biases a ReLU is silent on one input with "
    "probability 1/2, and on several with at most that",
)
FLAT = Threshold(_HALF, "above", "convention", "half of the entries of a layer on flat parts")
NOTHING = Threshold(0, "above", "arithmetic", "a step along a gradient of 0 changes nothing")


def dead_units(subject: Subject, *, inputs: int = 2048) -> Finding:
    r"""Count units that pass nothing on any of many inputs: dead ReLUs, saturated tanh.

    A unit passes nothing where the derivative of its activation is below 1 % of its greatest, at
    every position. One that was silent on all n inputs is active on at most a share of
    $1 - 0.05^{1/n} \approx 3/n$ of them, at 95 % (the rule of three). The interval of a layer's
    share is Clopper and Pearson's, over its units, at 95 % for all layers together. It warns
    where more than half of a layer is dead, or more than half of the entries of an activation
    with two flat sides are on them, and is unknown where half is not sure; it fails where weights
    have a gradient of exactly 0 although no weight matrix or scale begins at 0 by design.

    Args:
        subject: The network and its data.
        inputs: At most so many.

    Cost: two forward passes per input, and one gradient of a batch, or of all where some are 0.

    Raises `ArgumentError` if no elementwise activation is seen.

    References:
        Lu, Shin, Su and Karniadakis, Dying ReLU and initialization: theory and numerical
        examples, 2020, arXiv:1903.06733; Hanley and Lippman-Hand, If nothing goes wrong, is
        everything all right?, 1983.
    """
    part = "train" if "train" in subject.parts else subject.judged
    found, seen = count_units(subject, part, inputs)
    require(
        bool(found),
        "dead-units looks at activations that act on each entry, such as ReLU or tanh, and neither "
        "the modules of this network nor the values between its layers show one",
    )
    layers = list(found.values())
    level = 1 - (1 - LEVEL) / len(layers)
    ends = [clopper_pearson(u.dead, len(u.silent), level) for u in layers]
    shares = [u.dead / len(u.silent) for u in layers]
    z = NormalDist().inv_cdf((1 + level) / 2)
    flat = {k: u.mean_blocked(z) for k, u in enumerate(layers) if not u.rectifies}
    whole = [u.dead == len(u.silent) for u in layers]
    worst = max(range(len(layers)), key=lambda k: (whole[k], ends[k][0] > _HALF, shares[k]))
    still = zero_gradients(subject, part, inputs)
    verdict, value, interval, threshold = Verdict.PASS, shares[worst], ends[worst], COIN
    where, remedy = layers[worst].name if shares[worst] else "", ""
    said = _dead(layers[worst], seen)
    flattest = max(flat, key=lambda k: flat[k][1], default=None)
    if still and not _begins_at_zero(subject):
        count = float(len(still))
        verdict, value, interval, threshold = Verdict.FAIL, count, (count, count), NOTHING
        said = f"{len(still)} weight tensors have a gradient of exactly 0 on all inputs; {said}"
        where = ", ".join(still[:5])
    elif whole[worst] or ends[worst][0] > _HALF:
        verdict = Verdict.WARN
    elif flattest is not None and flat[flattest][1] > _HALF:
        verdict, threshold = Verdict.WARN, FLAT
        value, *rest = flat[flattest]
        interval, where = (rest[0], rest[1]), layers[flattest].name
        said = (
            f"{100 * value:.3g} % of the entries of {layers[flattest].function} at {where} are "
            "where it is flat"
        )
    elif shares[worst] > _HALF:
        verdict = Verdict.UNKNOWN  # in a layer too narrow to be sure
    if verdict is not Verdict.PASS:
        remedy = (
            f"smaller steps or a warm-up, biases that begin at 0 ({anew()}), "
            "normalization before the activation, or one that is flat nowhere (leaky ReLU)"
        )
    return Finding(
        check="dead-units",
        verdict=verdict,
        statement=f"{said[0].upper()}{said[1:]}.",
        value=value,
        interval=interval,
        level=LEVEL,
        unit="tensors" if threshold is NOTHING else "share",
        threshold=threshold,
        where=where,
        evidence={
            "inputs": seen,
            "part": part,
            "seed": subject.seed,
            "dead": {u.name: f"{u.dead} of {len(u.silent)}" for u in layers[:100]},
            "active at most": silent_bound(seen),
            "blocked entries": {u.name: u.mean_blocked(z)[0] for u in layers[:100]},
            "gradients of 0": still[:50],
        },
        verified=_rows_of_gradients(subject, part),
        remedy=remedy,
        figures=(_bars(layers, shares, ends),),
    )


def silent_bound(n: int, level: float = LEVEL) -> float:
    """Of what was never seen in n inputs, the greatest share that this does not rule out."""
    return 1.0 - float((1 - level) ** (1 / n))


def zero_gradients(subject: Subject, part: str, inputs: int) -> list[str]:
    """Parameters by which a random combination of the outputs has derivative 0 on all inputs.

    Those that the outputs do not depend on at all are not among them: they are not used.
    """
    named = {n: p for n, p in subject.model.named_parameters() if p.requires_grad}
    generator = subject.generator("dead-units")
    for batch, _ in subject.batches(part, inputs):
        if not named:
            break
        with torch.enable_grad(), mode(subject.model):
            outputs = subject.model(batch)
            cotangent = torch.randn(outputs.shape, generator=generator).to(outputs)
            value = (outputs * cotangent).sum()
            if not value.requires_grad:
                return []
            grads = torch.autograd.grad(value, list(named.values()), allow_unused=True)
        zero = [g is not None and not bool(g.any()) for g in grads]
        named = {n: p for (n, p), z in zip(named.items(), zero, strict=True) if z}
    return list(named)


def _begins_at_zero(subject: Subject) -> bool:
    """Whether a scale or a weight matrix is all 0, as the last of a residual branch may be."""
    scales = ("weight", "gamma", "scale", "alpha")
    return any(
        not bool(p.detach().any())
        for name, p in subject.model.named_parameters()
        if p.dim() > 1 or any(word in name.rsplit(".", 1)[-1] for word in scales)
    )


def _dead(units: Units, seen: int) -> str:
    if not units.dead:
        return f"every unit of every activation passes something on some of {seen:,} inputs"
    at_most = 100 * silent_bound(seen)
    return (
        f"{units.dead} of {len(units.silent)} units of {units.function} ({units.name}), the "
        f"largest share of any layer, pass nothing on any of {seen:,} inputs, so each is active on "
        f"at most {at_most:.2g} % of all inputs (at {LEVEL:.0%})"
    )


def _rows_of_gradients(subject: Subject, part: str) -> str:
    """Silent units of the first batch, against the rows of the weight gradient before them."""
    batch = next(iter(subject.batches(part, subject.batch_size)))[0]
    with torch.enable_grad(), mode(subject.model):
        trace = record(subject.model, batch)
        known = [(u.layer, u.still) for u in activations(trace) if u.layer is not None]
        calls = [layer for layer, _ in known]
        rows = [
            (layer.weight, still)
            for layer, still in known
            if calls.count(layer) == 1 and isinstance(layer.weight, Tensor)
        ]
        rows = [(w, still) for w, still in rows if w.requires_grad and len(w) == len(still)]
        if not rows or not trace.outputs.requires_grad:
            return "counts of batches add up; no layer stands directly before an activation"
        weights = [weight for weight, _ in rows]
        grads = torch.autograd.grad(trace.outputs.sum(), weights, allow_unused=True)
    silent = sum(int(still.sum()) for _, still in rows)
    wrong = sum(
        int((grad.flatten(1).any(1).cpu() & still).sum())
        for (_, still), grad in zip(rows, grads, strict=True)
        if grad is not None
    )
    return (
        f"the weights of the {silent} of {sum(len(s) for _, s in rows)} units whose derivative is "
        f"0 on {len(batch)} inputs have a gradient of 0 by autograd: "
        f"{'all' if not wrong else f'NOT {wrong}'}"
    )


def _bars(layers: list[Units], shares: list[float], ends: list[tuple[float, float]]) -> Bars:
    shown = range(min(len(layers), _BARS))
    return Bars(
        "Units that never pass anything",
        tuple(layers[k].name for k in shown),
        tuple(shares[k] for k in shown),
        tuple(ends[k][0] for k in shown),
        tuple(ends[k][1] for k in shown),
        y_label="share of the units",
        percent=True,
        marks=(Mark("y", _HALF, "a coin per unit"),),
        note=f"Clopper-Pearson intervals over units, at {LEVEL:.0%} for all together.",
    )


CHECK = Check(
    dead_units,
    family="signal",
    question="Are there units that pass nothing, whatever the input?",
    cost=lambda subject, inputs=2048: (
        forward(2 * at_hand(subject, inputs)) + at_hand(subject, subject.batch_size)
    ),
    settings={"quick": {"inputs": 500}, "standard": {}, "deep": {"inputs": 10_000}},
)
