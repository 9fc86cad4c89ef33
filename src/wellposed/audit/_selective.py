"""How wrong is the network if it may decline to answer?"""

import math
from typing import Any

import numpy as np

from wellposed.audit._check import Check, forward
from wellposed.audit._probabilities import said
from wellposed.audit._subject import Subject
from wellposed.runs import Curves, Finding, Listing, Mark, Series, Threshold, Verdict
from wellposed.stats import (
    Null,
    RiskCoverage,
    Selection,
    clopper_pearson,
    guaranteed_selection,
    guaranteed_selections,
    risk_coverage,
)

LEVEL, RARE, ENOUGH = 0.95, 0.01, 20
COVERAGES = (0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)
RISKS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)


def selective(subject: Subject, *, examples: int | None = None, draws: int = 1000) -> Finding:
    r"""Answer only where the largest softmax probability is high, and count what remains wrong.

    The area under the curve of risk against coverage is judged against rejecting at random: the
    same errors in random orders. It passes below their 1 % quantile, and fails where the interval
    for fresh examples lies above their 99 % quantile: wrong answers are the confident ones. Where
    answers are not shown to be better than always naming one class, there is nothing to rank, and
    that is a warning. Then the thresholds above which the error is at most what is asked for, with
    bounds that hold for all of them at once on fresh examples from the same source.

    Args:
        subject: A classifier.
        examples: At most this many of the judged part; None for all.
        draws: Random orders, at least 100.

    Cost: one forward pass per example of the judged part.

    Raises `ArgumentError` if the subject is no classifier, outputs are not finite, or only one
    class is seen.

    References:
        Geifman and El-Yaniv, Selective classification for deep neural networks, 2017,
        arXiv:1705.08500.
    """
    part = subject.judged
    now = said(subject, "selective", part, examples)
    # the margin between the two largest breaks ties of confidences that round to 1
    chances = now.chances
    confidence = np.where(chances.max(1) < 1 - 1e-9, chances.max(1), 1 + _margin(now.logits))
    wrong = now.guess != now.labels
    n, k = len(wrong), int(wrong.sum())
    curve = risk_coverage(confidence, wrong)
    null = curve.null(repeats=draws, seed=subject.seed)
    limits, interval = (null.quantile(RARE), null.quantile(1 - RARE)), curve.interval(LEVEL)
    p = (1 + int((null.values <= curve.area).sum())) / (1 + draws)
    choices = guaranteed_selections(confidence, wrong, level=LEVEL)
    largest = int(np.bincount(now.labels).max()) / n
    verdict, words = _verdict(curve, limits, interval, k, largest)
    fails = verdict is Verdict.FAIL
    best = _best(choices, curve.random)
    offer = (
        f"; answering the most confident {100 * best[1].coverage:.0f} % keeps the error below "
        f"{100 * best[0]:g} % ({100 * LEVEL:g} % sure)"
        if best
        else ""
    )
    return Finding(
        check="selective",
        verdict=verdict,
        statement=f"{words} (area under risk against coverage {curve.area:.4g} "
        f"[{interval[0]:.4g}, {interval[1]:.4g}], at random {curve.random:.4g}){offer}.",
        value=curve.area,
        interval=interval,
        level=LEVEL,
        unit="share",
        threshold=Threshold(
            limits[fails],
            "above",
            "null distribution",
            f"{99 if fails else 1} % quantile of random rejection, {draws} draws",
        ),
        evidence={
            "examples": n,
            "wrong": k,
            "p_value": p,
            "ideal": curve.ideal,
            "selections": [_shown(s) for s in choices],
            "part_trained_on": part == "train",
            "seed": subject.seed,
        },
        verified=_verify(curve, null),
        remedy="its confidence does not tell right from wrong: calibrate it on a validation part, "
        "or measure confidence otherwise (an ensemble, dropout at prediction)"
        if verdict in {Verdict.WARN, Verdict.FAIL}
        else "",
        figures=(_curve_figure(curve, part), _choices_figure(choices)),
    )


def _margin(logits: np.ndarray) -> np.ndarray:
    two = np.partition(logits, -2, axis=1)[:, -2:]
    found: np.ndarray = two[:, 1] - two[:, 0]
    return found


def _verdict(
    curve: RiskCoverage,
    limits: tuple[float, float],
    interval: tuple[float, float],
    wrong: int,
    largest: float,
) -> tuple[Verdict, str]:
    """PASS if it beats random orders, FAIL if it is beaten; UNKNOWN where too few could show it."""
    n = len(curve.loss)
    if min(wrong, n - wrong) == 0:
        low, high = clopper_pearson(wrong, n, LEVEL)
        kind = "wrong" if wrong == 0 else "right"
        ends = f"the error is {100 * low:.2g} to {100 * high:.2g} %"
        return Verdict.UNKNOWN, f"None of {n} answers is {kind}, so there is no order: {ends}"
    if curve.area <= limits[0]:
        return Verdict.PASS, "Confidence tells right answers from wrong ones"
    if interval[0] > limits[1]:
        words = "Confidence ranks wrong answers before right ones"
        if clopper_pearson(n - wrong, n, LEVEL)[0] > largest:
            return Verdict.FAIL, words
        return Verdict.WARN, f"{words}, and few are right: naming one class for all may do as well"
    if min(wrong, n - wrong) < ENOUGH:
        few = f"{wrong} of {n} answers are wrong, too few or too many to tell"
        return Verdict.UNKNOWN, f"Whether confidence tells right from wrong is open: {few}"
    return Verdict.WARN, "Rejecting by confidence is not shown to be better than at random"


def _best(choices: tuple[Selection, ...], error: float) -> tuple[float, Selection] | None:
    """The promise for about half of the error, or the next that can be kept."""
    kept = [(r, guaranteed_selection(choices, r)) for r in RISKS]
    offers = [(r, s) for r, s in kept if s is not None and s.coverage < 1]
    return min(offers, key=lambda o: abs(math.log(o[0] / max(error / 2, 1e-6))), default=None)


def _shown(s: Selection) -> dict[str, Any]:
    return {
        "threshold": s.threshold if math.isfinite(s.threshold) else None,
        "coverage": s.coverage,
        "answered": s.answered,
        "wrong": s.wrong,
        "bound": s.bound,
    }


def _verify(curve: RiskCoverage, null: Null) -> str:
    """The area as a weighted sum of the errors, and the null's moments in closed form."""
    n = len(curve.loss)
    weight = np.cumsum(1 / np.arange(n, 0, -1))[::-1] / n
    agrees = abs(float(weight @ curve.loss) - curve.area) <= 1e-9
    return (
        f"the area as a weighted sum of errors: {'equal' if agrees else 'DIFFERENT'}; random "
        f"orders have mean {null.mean:.4g} and deviation {null.values.std():.2g}, in closed form "
        f"{curve.random:.4g} and {curve.null_deviation:.2g}"
    )


def _curve_figure(curve: RiskCoverage, part: str) -> Curves:
    n = len(curve.risk)
    places = np.unique(np.linspace(max(1, n // 100), n, 100).round().astype(int))
    at = np.unique([max(1, round(n * c)) for c in COVERAGES])
    counts = [round(float(curve.risk[i - 1]) * i) for i in at]
    ends = [clopper_pearson(min(k, int(i)), int(i), LEVEL) for k, i in zip(counts, at, strict=True)]
    return Curves(
        f"Risk against coverage on the {part} part",
        "share that is answered",
        "share of the answers that is wrong",
        (
            Series(
                "by confidence",
                tuple(float(c) for c in places / n),
                tuple(float(r) for r in curve.risk[places - 1]),
            ),
            Series(
                "with intervals",
                tuple(float(c) for c in at / n),
                tuple(float(r) for r in curve.risk[at - 1]),
                tuple(e[0] for e in ends),
                tuple(e[1] for e in ends),
                points=True,
            ),
        ),
        marks=(Mark("y", curve.random, "at random"),),
        percent=True,
        note=f"Clopper-Pearson intervals at {100 * LEVEL:g} %, each for itself.",
    )


def _choices_figure(choices: tuple[Selection, ...]) -> Listing:
    rows = []
    for risk in RISKS:
        chosen = guaranteed_selection(choices, risk)
        if chosen is None:
            rows.append((f"{100 * risk:g} %", "none", "", "", ""))
            continue
        above = "any" if math.isinf(chosen.threshold) else f"above {chosen.threshold:.5f}"
        seen = f"{chosen.wrong} of {chosen.answered}"
        rows.append(
            (
                f"{100 * risk:g} %",
                above,
                f"{100 * chosen.coverage:.0f} %",
                seen,
                f"{100 * chosen.bound:.2f} %",
            )
        )
    return Listing(
        "Which confidence is enough",
        ("error at most", "confidence", "answered", "wrong here", "bound"),
        tuple(rows),
        note=f"With {100 * LEVEL:g} % confidence all bounds hold at once, for fresh examples from "
        "the same source. Confidences above 1 are 1 plus the margin of the logits.",
    )


CHECK = Check(
    selective,
    family="calibration",
    question="How wrong is it if it may decline to answer?",
    cost=lambda subject, examples=None, **_: forward(
        min(len(subject.parts[subject.judged]), examples or len(subject.parts[subject.judged]))
    ),
    settings={
        "quick": {"examples": 1000, "draws": 500},
        "standard": {"examples": 10_000},
        "deep": {"draws": 5000},
    },
)
