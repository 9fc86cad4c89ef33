"""Does a barrier lie between two runs of the same network?"""

from dataclasses import dataclass
from typing import final

import numpy as np

from wellposed.audit._check import Check
from wellposed.audit._curve import bezier, find_curve
from wellposed.audit._landscape import LEVEL, Interval, Landscape, Table, cost, has_statistics
from wellposed.audit._matching import match
from wellposed.audit._permutable import permutable, permuted
from wellposed.audit._straight import State, at_state, largest, straight
from wellposed.audit._subject import Subject
from wellposed.errors import ArgumentError, require
from wellposed.runs import Curves, Finding, Series, Verdict

SAME = 1e-4  # relative; how far rounding may take the outputs of a network with its units moved


def barrier(subject: Subject, *, examples: int = 512, points: int = 11, curve: int = 0) -> Finding:
    r"""Measure the barrier between two runs: straight, with matched units, and along a curve.

    $$B = \max_\alpha f((1 - \alpha) w + \alpha w') - [(1 - \alpha) f(w) + \alpha f(w')]$$

    Hidden units can change places without changing the network, so that two runs may be the same
    but for names: weight matching (Ainsworth et al.) puts the units of the other run in the order
    of this one's first, for networks that are one chain of layers; for others it is said why not.
    That the other run with its units moved gives the same outputs is checked on the examples. A
    quadratic Bezier curve, bent by gradients on every second example, is measured on those between.

    Intervals hold for the highest point, whichever it is. Where there is batch norm, its statistics
    are measured anew at every point; a curve is not looked for there. A barrier is no fault: the
    verdict is PASS wherever it is measured.

    Args:
        subject: With the weights of a second run; the training part where there is one.
        examples: At most this many.
        points: From one run to the other, at least 3.
        curve: Gradient evaluations of one example to bend a curve; 0 for none.

    Cost: 2 points + 6 forward passes per example, points more with batch norm for each line, and
    those of the curve.

    Raises `ArgumentError` if there is no second run, or it is this one, and `DataError` if it is
    of another network.

    References:
        Frankle, Dziugaite, Roy and Carbin, Linear mode connectivity and the lottery ticket
        hypothesis, 2020, arXiv:1912.05671.
        Ainsworth, Hayase and Srinivasa, Git Re-Basin: Merging models modulo permutation
        symmetries, 2023, arXiv:2209.04836.
        Garipov, Izmailov, Podoprikhin, Vetrov and Wilson, Loss surfaces, mode connectivity, and
        fast ensembling of DNNs, 2018, arXiv:1802.10026.
    """
    require(points >= 3, f"a line has at least 3 points, got {points}; try 11")
    land = Landscape(subject, "barrier", examples)
    other = land.fitting(
        subject.other, "the weights of a second run", "give --other RUN, or other="
    )
    require(
        any(bool((other[0][n] != w).any()) for n, w in land.weights.items()),
        "both runs have the same weights; barrier needs a run with another seed",
    )
    at = np.linspace(0, 1, points).tolist()
    ways = [_way("straight", at, straight(land, _own(land), other, at))]
    matched, refusal, verified = _matched(land, other)
    if matched is not None:
        ways.append(_way("matched", at, straight(land, _own(land), matched, at)))
    if curve and not land.norms:
        ways.append(_curved(land, matched or other, at, curve))
    best = ways[1] if matched is not None else ways[0]
    return Finding(
        check="barrier",
        verdict=Verdict.PASS,
        statement=_said(land, ways, refusal),
        value=best.height,
        interval=best.interval,
        level=LEVEL,
        unit="of the objective",
        evidence={
            "part": land.part,
            "examples": len(land.inputs),
            "objective": {"this": float(ways[0].line[0]), "other": float(ways[0].line[-1])},
            "barriers": {w.name: {"height": w.height, "interval": list(w.interval)} for w in ways},
            "not_matched_because": refusal,
            "curve": {"gradients": curve if not land.norms else 0},
            "batch_norm": "statistics measured anew at every point" if land.norms else "none",
            "seed": subject.seed,
        },
        verified=verified or _copied(land, other),
        figures=(_drawn(land, ways),),
    )


@final
@dataclass(frozen=True, slots=True)
class Way:
    """A way from one run to the other.

    Args:
        name: What it is called.
        at: Where it was looked at, from 0 to 1.
        line: The objective there.
        height: Of its barrier.
        interval: For the height.
    """

    name: str
    at: tuple[float, ...]
    line: tuple[float, ...]
    height: float
    interval: Interval


def _way(name: str, at: list[float], table: Table) -> Way:
    """What a way brings, from the losses along it."""
    alpha = np.asarray(at)[:, None]
    above = (table - ((1 - alpha) * table[0] + alpha * table[-1]))[1:-1]
    finite = above[np.isfinite(above).all(1)]
    require(len(finite) > 0, f"no point of the {name} way between both runs has a finite loss")
    means = finite.mean(1)
    return Way(
        name, tuple(at), tuple(map(float, table.mean(1))), float(means.max()), largest(finite)
    )


def _own(land: Landscape) -> State:
    return land.weights, {n: b.detach() for n, b in land.subject.model.named_buffers()}


def _matched(land: Landscape, other: State) -> tuple[State | None, str, str]:
    """The other run with its units in order; or why not; and what was verified."""
    try:
        hidden = permutable(land.subject.model)
    except ArgumentError as error:
        return None, str(error), ""
    together = {**other[0], **other[1]}
    found = match(hidden, land.weights, together, land.subject.generator("matching"))
    moved = permuted(hidden, together, found.order)
    state = {n: moved[n] for n in other[0]}, {n: moved[n] for n in other[1]}
    before, after = land.outputs(*other).double(), land.outputs(*state).double()
    apart = float((before - after).abs().max())
    scale = float(before.abs().max())
    if not apart <= SAME * max(scale, 1e-30):
        return None, f"with its units moved the other run gives outputs {apart:.2g} apart", ""
    share = sum(int((p != p.sort().values).sum()) for p in found.order.values())
    total = sum(h.units for h in hidden)
    return (
        state,
        "",
        f"with {share} of {total} hidden units moved the other run's outputs are {apart:.1e} "
        f"apart, of {scale:.2g}",
    )


def _copied(land: Landscape, other: State) -> str:
    """The other run's objective on a copy of the model."""
    weights, buffers = other
    if land.norms:
        buffers = land.statistics(weights, buffers)
    mean = float(at_state(land, other).mean())
    return (
        f"the other run's objective is {mean:.6g}, and {land.of_a_copy(weights, buffers):.6g} on a "
        "copy with the weights written"
    )


def _curved(land: Landscape, other: State, at: list[float], gradients: int) -> Way:
    """A curve that every second example bent, measured on those between."""
    rows = range(0, len(land.inputs), 2)
    bend = find_curve(land, land.weights, other[0], rows=rows, gradients=gradients)
    table = np.stack([land.losses(bezier(land.weights, bend, other[0], t), other[1]) for t in at])
    return _way("curved", at, table[:, 1::2])


def _said(land: Landscape, ways: list[Way], refusal: str) -> str:
    words = {"straight": "on the straight line", "curved": "along a curve"}
    words["matched"] = "after matching the hidden units"
    parts = [
        f"{w.height:.2g} [{w.interval[0]:.2g}, {w.interval[1]:.2g}] {words[w.name]}" for w in ways
    ]
    said = f"Between both runs the {land.part} loss rises by {', by '.join(parts)}"
    return f"{said}; units were not matched: {refusal}." if refusal else f"{said}."


def _drawn(land: Landscape, ways: list[Way]) -> Curves:
    return Curves(
        "Objective between two runs",
        "share of the way from this run to the other",
        f"objective on {len(land.inputs)} {land.part} examples",
        tuple(Series(w.name, w.at, w.line) for w in ways),
        note="Matched: the other run's hidden units in the order of this run's.",
    )


def _cost(subject: Subject, examples: int = 512, points: int = 11, curve: int = 0) -> int:
    if subject.other is None:
        return 0
    again = 2 if any(map(has_statistics, subject.model.modules())) else 1
    lines = 3 if curve else 2
    return cost(subject, examples, lines * points * again + 8) + curve


CHECK = Check(
    barrier,
    family="landscape",
    question="Does a barrier lie between two runs of the same network?",
    cost=_cost,
    settings={
        "quick": {"examples": 256},
        "standard": {},
        "deep": {"examples": 4096, "points": 21, "curve": 100_000},
    },
)
