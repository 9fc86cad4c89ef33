"""Are the probabilities of the network frequencies?"""

import math
from typing import Any

import numpy as np

from wellposed.audit._check import Check, forward_over
from wellposed.audit._probabilities import Said, said
from wellposed.audit._subject import Subject
from wellposed.errors import ArgumentError, require
from wellposed.runs import Curves, Finding, Series, Threshold, Verdict
from wellposed.stats import (
    Calibration,
    Null,
    Temperature,
    brier,
    clopper_pearson,
    negative_log_likelihood,
    temperature,
)
from wellposed.stats import calibration as in_bins
from wellposed.stats import calibration_null as null_of

LEVEL, RARE, BINS, FEWEST = 0.95, 0.01, 15, 30


def calibration(subject: Subject, *, examples: int | None = None, draws: int = 1000) -> Finding:
    r"""Compare confidence with accuracy, and with what a perfectly calibrated network would show.

    The expected calibration error of the largest softmax probability, in 15 bins of equal mass
    (fewer where they would hold under 20 examples), is above 0 even where every probability is
    right. So labels are drawn from the probabilities themselves, and the error is judged against
    the 99 % quantile of what comes out. Above it the check warns; it fails where the interval of
    the error lies wholly above it. Temperature scaling is fitted on the validation part; without
    one, each half of the judged part is scaled by the temperature of the other half. What it
    leaves stands beside it.

    Args:
        subject: A classifier; outputs are logits, or probabilities (rows of sum 1).
        examples: At most this many of each part; None for all.
        draws: Of the null distribution, at least 100.

    Cost: one forward pass per example of the judged and the validation part.

    Raises `ArgumentError` if the subject is no classifier, outputs are not finite, or there are
    fewer than 30 examples or only one class.

    References:
        Guo, Pleiss, Sun and Weinberger, On calibration of modern neural networks, 2017,
        arXiv:1706.04599; Broecker and Smith, Increasing the reliability of reliability
        diagrams, 2007.
    """
    part = subject.judged
    now = said(subject, "calibration", part, examples)
    n = len(now.labels)
    require(n >= FEWEST, f"calibration needs at least {FEWEST} examples, got {n}; give more")
    bins = max(1, min(BINS, n // 20))
    found, null = _measured(now, bins, draws, subject.seed)
    limit, p = null.quantile(1 - RARE), null.p_value(found.error)
    interval = found.interval(LEVEL, seed=subject.seed)
    threshold = Threshold(
        limit,
        "above",
        "null distribution",
        f"99 % quantile of a perfectly calibrated network on {n} points, {draws} draws",
    )
    verdict = Verdict.PASS
    if found.error > limit:
        verdict = Verdict.FAIL if interval[0] > limit else Verdict.WARN
    scaled, how = _cured(subject, now, part, examples)
    after = None if scaled is None else _measured(scaled, bins, draws, subject.seed)
    lean = "over" if found.overconfidence > 0 else "under"
    words = "cannot be told from perfect" if verdict is Verdict.PASS else f"is {lean}confident"
    return Finding(
        check="calibration",
        verdict=verdict,
        statement=f"On {n} {part} examples the expected calibration error is "
        f"{100 * found.error:.2f} % [{100 * interval[0]:.2f}, {100 * interval[1]:.2f}]; a "
        f"perfectly calibrated network shows up to {100 * limit:.2f} % (p = {p:.2g}): it {words}.",
        value=found.error,
        interval=interval,
        level=LEVEL,
        unit="share",
        threshold=threshold,
        evidence={
            "examples": n,
            "bins": len(found.counts),
            "binning": found.binning,
            "p_value": p,
            "null_mean": null.mean,
            "null_95": null.quantile(0.95),
            "overconfidence": found.overconfidence,
            "debiased_squared_error": found.squared,
            "classwise": _classwise(now, bins, subject.seed),
            "scores": _scores(now),
            "outputs": "probabilities" if now.probabilities else "logits",
            "temperature": how,
            "after": None if scaled is None or after is None else _after(scaled, *after),
            "part_trained_on": part == "train",
            "draws": draws,
            "seed": subject.seed,
        },
        verified=_verify(now, found, null),
        remedy="" if verdict is Verdict.PASS else _remedy(how, after),
        remedied=None if after is None else after[0].error,
        figures=(_figure(found, None if after is None else after[0], part),),
    )


def _measured(what: Said, bins: int, draws: int, seed: int) -> tuple[Calibration, Null]:
    confidence = np.minimum(what.chances.max(1), 1.0)
    found = in_bins(confidence, what.guess == what.labels, bins=bins)
    return found, null_of(confidence, bins=bins, repeats=draws, seed=seed)


def _cured(
    subject: Subject, now: Said, part: str, examples: int | None
) -> tuple[Said | None, dict[str, Any]]:
    """The judged logits at a temperature that their own labels did not choose, and how."""
    try:
        if "validation" in subject.parts and part != "validation":
            fit_on = said(subject, "calibration", "validation", examples)
            fit = temperature(fit_on.logits, fit_on.labels)
            _require_finite([fit], "validation")
            how: dict[str, Any] = {"value": fit.value, "error": fit.error, "steps": fit.steps}
            return now.scaled(fit.value), how | {
                "fitted_on": "validation",
                "examples": fit.examples,
            }
        order = np.random.default_rng(subject.seed).permutation(len(now.labels))
        halves = (order[::2], order[1::2])
        fits = [temperature(now.logits[half], now.labels[half]) for half in halves]
        _require_finite(fits, part)
    except ArgumentError as error:
        return None, {"fitted_on": "", "why": str(error)}
    logits = now.logits.copy()
    logits[halves[0]] /= fits[1].value
    logits[halves[1]] /= fits[0].value
    there = f"halves of the {part} part, each scaled by the other's temperature"
    found = {"value": [f.value for f in fits], "error": [f.error for f in fits]}
    return Said(logits, now.labels, now.probabilities), found | {"fitted_on": there}


def _require_finite(fits: list[Temperature], part: str) -> None:
    require(
        all(math.isfinite(fit.value) for fit in fits),
        f"on the {part} part equal probabilities for all classes fit better than the logits at any "
        "temperature; the outputs say nothing about the labels, or the contrary: see whether "
        "outputs and labels number the classes alike, or train on",
    )


def _classwise(what: Said, bins: int, seed: int) -> dict[str, float] | None:
    """Mean over the classes of the error of each class's own probability, and of its null."""
    p, classes = np.minimum(what.chances, 1.0), what.logits.shape[1]
    if classes > 20:
        return None
    errors = [in_bins(p[:, k], what.labels == k, bins=bins).error for k in range(classes)]
    nulls = [null_of(p[:, k], bins=bins, repeats=50, seed=seed).mean for k in range(classes)]
    return {"error": float(np.mean(errors)), "null_mean": float(np.mean(nulls))}


def _scores(what: Said) -> dict[str, float]:
    z, y = what.logits, what.labels
    return {"negative_log_likelihood": negative_log_likelihood(z, y), "brier": brier(z, y)}


def _after(scaled: Said, found: Calibration, null: Null) -> dict[str, Any]:
    return {
        "error": found.error,
        "interval": list(found.interval(LEVEL)),
        "p_value": null.p_value(found.error),
        "debiased_squared_error": found.squared,
        "scores": _scores(scaled),
    }


def _remedy(how: dict[str, Any], after: tuple[Calibration, Null] | None) -> str:
    if after is None:
        return f"temperature scaling does not help: {how['why']}"
    found, null = after
    values = how["value"] if isinstance(how["value"], list) else [how["value"]]
    by = " and ".join(f"{value:.3g}" for value in values)
    p = null.p_value(found.error)
    left = "not to be told from perfect" if p > RARE else "still above a perfect network"
    return (
        f"divide the logits by T = {by} (temperature scaling, fitted on {how['fitted_on']}): "
        f"{100 * found.error:.2f} % remains, {left} (p = {p:.2g})"
    )


def _verify(what: Said, found: Calibration, null: Null) -> str:
    """The error by sums over sorted examples, and the null's mean in closed form."""
    c = np.minimum(what.chances.max(1), 1.0)
    order = np.argsort(c, kind="stable")
    gap = (c - (what.guess == what.labels))[order].cumsum()[found.counts.cumsum() - 1]
    again = float(np.abs(np.diff(gap, prepend=0.0)).sum()) / len(c)
    spread = np.diff((c * (1 - c))[order].cumsum()[found.counts.cumsum() - 1], prepend=0.0)
    mean = math.sqrt(2 / math.pi) * float(np.sqrt(spread).sum()) / len(c)
    agrees = abs(again - found.error) <= 1e-9
    return (
        f"the error from sorted sums: {'equal' if agrees else 'DIFFERENT'}; the null's mean "
        f"{null.mean:.4g} by draws, {mean:.4g} for normal noise in closed form"
    )


def _figure(found: Calibration, after: Calibration | None, part: str) -> Curves:
    series = [Series("perfect", (0.0, 1.0), (0.0, 1.0), faint=True)]
    for name, seen in (("as it is", found), ("after temperature scaling", after)):
        if seen is None:
            continue
        hits = np.rint(seen.accuracy * seen.counts).astype(int)
        ends = [
            clopper_pearson(int(k), int(m), LEVEL) for k, m in zip(hits, seen.counts, strict=True)
        ]
        series.append(
            Series(
                name,
                tuple(map(float, seen.confidence)),
                tuple(map(float, seen.accuracy)),
                tuple(e[0] for e in ends),
                tuple(e[1] for e in ends),
                points=True,
            )
        )
    return Curves(
        f"Reliability on the {part} part",
        "mean confidence of the bin",
        "share that is right",
        tuple(series),
        percent=True,
        note=f"{len(found.counts)} bins of equal mass; Clopper-Pearson intervals at "
        f"{100 * LEVEL:g} % per bin.",
    )


CHECK = Check(
    calibration,
    family="calibration",
    question="Are its probabilities frequencies?",
    cost=lambda subject, examples=None, **_: forward_over(
        subject, (subject.judged, "validation"), examples
    ),
    settings={
        "quick": {"examples": 1000, "draws": 500},
        "standard": {"examples": 10_000},
        "deep": {"draws": 5000},
    },
)
