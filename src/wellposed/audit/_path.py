"""How does the loss fall from the initial weights to the final ones, and beyond them?"""

import numpy as np
from jaxtyping import Float

from wellposed.audit._check import Check
from wellposed.audit._landscape import (
    LEVEL,
    Interval,
    Landscape,
    Table,
    cost,
    has_statistics,
    level_of_each,
)
from wellposed.audit._slice import SHARE
from wellposed.audit._straight import State, between, largest, rise, straight
from wellposed.audit._subject import Subject
from wellposed.errors import require
from wellposed.runs import Curves, Finding, Mark, Series, Threshold, Verdict
from wellposed.stats import mean_interval

BEYOND = (1.05, 1.1, 1.25, 1.5)


def path(subject: Subject, *, examples: int = 512, points: int = 21) -> Finding:
    r"""Follow the objective on the straight line from the initial weights to the final ones.

    $f((1 - \alpha) w_0 + \alpha w)$ for $\alpha$ from 0 to 1, and on to 1.5. Often it falls all the
    way (Goodfellow et al.); a barrier on the line, the height above its higher end, is no fault:
    training went around it, as large steps and normalization make it do (Lucas et al.). What is
    judged is the fall *beyond* the weights, in units of the loss of a constant output: where the
    loss goes on falling in the direction in which training went, it stopped too early. Each
    interval holds for all the points that it was chosen from.

    Where there is batch norm, its statistics are measured anew at every point, on the examples.

    Args:
        subject: With the initial weights; the training part where there is one.
        examples: At most this many.
        points: From 0 to 1, at least 3.

    Cost: points + 8 forward passes per example, twice as many with batch norm.

    Raises `ArgumentError` if the initial weights are not known, or are the final ones, and
    `DataError` if they are of another model.

    References:
        Goodfellow, Vinyals and Saxe, Qualitatively characterizing neural network optimization
        problems, 2015, arXiv:1412.6544.
        Lucas, Bae, Zhang, Fort, Zemel and Grosse, Analyzing monotonic linear interpolation in
        neural network loss landscapes, 2021, arXiv:2104.11044.
    """
    require(points >= 3, f"a path has at least 3 points, got {points}; try 21")
    land = Landscape(subject, "path", examples)
    start, buffers = land.fitting(
        subject.initial, "the initial weights", "give --initial FILE, or initial="
    )
    require(
        any(bool((start[n] != w).any()) for n, w in land.weights.items()),
        "the initial weights are the weights themselves; path needs those from before training",
    )
    inside = np.linspace(0, 1, points).tolist()
    table = straight(land, (start, buffers), None, [*inside, *BEYOND])
    f, last = table.mean(1), points - 1
    scale = land.scale or 1.0
    beyond = largest((table[last] - table[points:]) / scale)
    value = float((f[last] - np.nanmin(f[points:])) / scale)
    top, barrier = rise(table[:points], table[0 if f[0] > f[last] else last])
    gained = mean_interval(table[0] - table[last], LEVEL)
    steps = [mean_interval(s, level_of_each(last)) for s in np.diff(table[:points], axis=0)]
    ups = sum(low > 0 for low, _ in steps)
    threshold = Threshold(
        SHARE,
        "above",
        "convention",
        f"{100 * SHARE:g} % of the loss of a constant output falls away beyond the weights",
    )
    verdict = threshold.judge(beyond)
    worse = gained[1] < 0
    if worse:
        verdict = Verdict.WARN
    return Finding(
        check="path",
        verdict=verdict,
        statement=_said(land, f, last, (value, beyond), (top, barrier), worse=worse),
        value=value,
        interval=beyond,
        level=LEVEL,
        unit="of a constant output's loss",
        threshold=threshold,
        evidence={
            "part": land.part,
            "examples": len(land.inputs),
            "objective": {"initial": float(f[0]), "final": float(f[last])},
            "constant_output": scale,
            "barrier": {"height": top, "interval": list(barrier)},
            "steps_that_rise_for_certain": ups,
            "batch_norm": "statistics measured anew at every point" if land.norms else "none",
            "seed": subject.seed,
        },
        verified=_verified(land, (start, buffers), table, points),
        remedy=_remedy(verdict, worse=worse),
        figures=(_drawn(land, [*inside, *BEYOND], table),),
    )


def _said(
    land: Landscape,
    f: Float[np.ndarray, " points"],
    last: int,
    beyond: tuple[float, Interval],
    barrier: tuple[float, Interval],
    *,
    worse: bool,
) -> str:
    if worse:
        return (
            f"Training raised the {land.part} loss, from {f[0]:.3g} at the initial weights to "
            f"{f[last]:.3g}."
        )
    (fall, ends), (top, (low, high)) = beyond, barrier
    shape = (
        f"over a barrier of {top:.2g} [{low:.2g}, {high:.2g}]"
        if low > 0
        else "with no barrier that is certain"
    )
    return (
        f"On the straight line from the initial weights the {land.part} loss falls from {f[0]:.3g} "
        f"to {f[last]:.3g} {shape}; beyond the weights it falls by {100 * fall:.2g} % "
        f"[{100 * ends[0]:.2g}, {100 * ends[1]:.2g}] of a constant output's loss."
    )


def _verified(land: Landscape, start: State, table: Table, points: int) -> str:
    """A point on the line on a copy of the model; its whole way again with batch norm."""
    own = (land.weights, {n: b.detach() for n, b in land.subject.model.named_buffers()})
    k = points // 2
    weights, buffers = between(start, own, k / (points - 1))
    if land.norms:
        buffers = land.statistics(weights, buffers)
    copied = land.of_a_copy(weights, buffers)
    return (
        f"half way the objective is {table[k].mean():.6g}, and {copied:.6g} on a copy with the "
        "weights written"
    )


def _remedy(verdict: Verdict, *, worse: bool) -> str:
    if worse:
        return "lower the step size, and look at the log: training has diverged"
    return "train on, or longer from the start" if verdict is Verdict.WARN else ""


def _drawn(land: Landscape, at: list[float], table: Table) -> Curves:
    """The line with intervals for each point of its own."""
    finite = np.isfinite(table).all(1)
    ends = [
        mean_interval(row, LEVEL) if ok else (float("nan"),) * 2
        for row, ok in zip(table, finite, strict=True)
    ]
    return Curves(
        "Objective from the initial weights to the final ones",
        "share of the way",
        f"objective on {len(land.inputs)} {land.part} examples",
        (
            Series(
                "",
                tuple(at),
                tuple(map(float, table.mean(1))),
                low=tuple(low for low, _ in ends),
                high=tuple(high for _, high in ends),
            ),
        ),
        marks=(Mark("x", 0.0, "initial"), Mark("x", 1.0, "final")),
        note=f"A straight line; intervals at {100 * LEVEL:g} % over examples, each for itself.",
    )


def _anew(subject: Subject) -> bool:
    """Whether statistics of batch norm have to be measured at every point."""
    return any(map(has_statistics, subject.model.modules()))


CHECK = Check(
    path,
    family="landscape",
    question="How does the loss fall from the initial weights to the final ones, and beyond them?",
    cost=lambda subject, examples=512, points=21: (
        0
        if subject.initial is None
        else cost(subject, examples, (points + 4) * (1 + _anew(subject)) + 4)
    ),
    settings={
        "quick": {"examples": 256, "points": 11},
        "standard": {},
        "deep": {"examples": 4096, "points": 41},
    },
)
