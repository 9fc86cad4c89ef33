"""Did the second half of training get anywhere?"""

import math

import numpy as np

from wellposed.audit._check import Check
from wellposed.audit._subject import Subject
from wellposed.audit._training_log import Column, block_means, training_log
from wellposed.runs import Curves, Finding, Mark, Series, Threshold, Verdict
from wellposed.stats import welch_difference

LEVEL = 0.99
LEAST, FLOOR = 0.01, 0.05
_RECORDS, _BLOCKS = 16, 8


def plateau(subject: Subject) -> Finding:
    r"""Measure how much the objective falls within the second half of training.

    The records of that half are halved again, into A and B; the value is
    $(\bar J_A - \bar J_B) / |J_1|$, a share of where training began, with Welch's interval over the
    means of 8 stretches of each, so that neighbors which resemble each other do not count twice.

    It warns if that is wholly below 1 % (a convention), and passes if it is wholly above 0. No
    progress is no fault where nothing is left to win: below 5 % of the first value it passes.

    Args:
        subject: With a log of at least 16 records.

    Cost: none in gradient evaluations; one pass over the log.

    Raises `ArgumentError` if there is no log, or it is too short, or not finite.

    References:
        Welch, The generalization of "Student's" problem, 1947.
    """
    column = training_log(subject, "plateau").column("objective", "plateau", _RECORDS)
    half = column.value[len(column) // 2 :]
    before, after = half[: len(half) // 2], half[len(half) // 2 :]
    start = abs(float(column.value[0])) or float(np.ptp(column.value)) or 1.0
    means = block_means(before, _BLOCKS), block_means(after, _BLOCKS)
    value = float(means[0].mean() - means[1].mean()) / start
    low, high = welch_difference(*means, LEVEL)
    interval = (low / start, high / start)
    threshold = Threshold(LEAST, "below", "convention", "1 % of where training began")
    if interval[1] >= LEAST:  # more than nothing is enough
        threshold = Threshold(0, "below", "null distribution", "an objective that stays as it is")
    left = float(after.mean()) / start
    floor = 0 <= left < FLOOR
    verdict = Verdict.PASS if floor else threshold.judge(interval, Verdict.WARN)
    step = float(column.step[len(column) // 2])
    ends = f"[{100 * interval[0]:.2g}, {100 * interval[1]:.2g}]"
    said = f"In the second half the objective fell by {100 * value:.2g} % {ends} of its first value"
    if floor:
        said += f", and {100 * left:.2g} % of it is left"
    stuck = verdict is Verdict.WARN
    return Finding(
        check="plateau",
        verdict=verdict,
        statement=f"{said}.",
        value=value,
        interval=interval,
        level=LEVEL,
        unit="share",
        threshold=threshold,
        where=f"from step {step:,.0f}" if stuck else "",
        evidence={
            "records": len(column),
            "first value": float(column.value[0]),
            "third quarter": float(before.mean()),
            "last quarter": float(after.mean()),
        },
        verified=_again(before, after, means),
        remedy=f"lower the step size from step {step:,.0f} on ([[schedule]]), or stop there; if "
        "the loss is still too high, a larger network or step size"
        if stuck
        else "",
        figures=(_figure(column, step),),
    )


def _again(before: np.ndarray, after: np.ndarray, means: tuple[np.ndarray, np.ndarray]) -> str:
    """The difference from exact sums over the records, weighted as the stretches are."""
    exact = [
        math.fsum(math.fsum(part.tolist()) / len(part) for part in np.array_split(v, len(m)))
        / len(m)
        for v, m in zip((before, after), means, strict=True)
    ]
    found = float(means[0].mean() - means[1].mean())
    scale = abs(exact[0]) + abs(exact[1])
    agrees = math.isclose(exact[0] - exact[1], found, rel_tol=1e-9, abs_tol=1e-12 * scale)
    return f"difference from exact sums: {'equal' if agrees else 'DIFFERENT'}"


def _figure(column: Column, step: float) -> Curves:
    x, y = column.few()
    log = min(y) > 0 and max(y) > 20 * min(y)
    marks = (Mark("x", step, "second half"),)
    return Curves("Objective", "step", "objective", (Series("", x, y),), marks, log_y=log)


CHECK = Check(
    plateau,
    family="training",
    question="Did the second half of training get anywhere?",
    cost=lambda _: 0,
    settings={"quick": {}, "standard": {}, "deep": {}},
    weights=False,
)
