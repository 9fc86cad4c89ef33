"""How many examples per gradient are worth their price?"""

import math

import numpy as np

from wellposed.audit._check import Check
from wellposed.audit._gradient_noise import gradient_noise, shared_noise
from wellposed.audit._subject import Subject
from wellposed.runs import Finding, Threshold, Verdict, interval_words

LEVEL = 0.95


def noise_scale(subject: Subject, *, batches: int = 32, batch: int = 32) -> Finding:
    r"""Compare the gradient noise scale with the batch size of training.

    $B = \operatorname{tr}\Sigma / \|G\|^2$, with G the mean gradient and $\Sigma$ the covariance of
    those of single examples. A step on b examples makes $1/(1 + B/b)$ of the progress of one on
    all; so far beyond B more examples buy nothing. Numerator and denominator are without bias; the
    interval is a bootstrap over batches, infinite where the gradient may be 0.

    Args:
        subject: The network; `descent.batch_size` is to be judged.
        batches: Of the training part, disjoint.
        batch: Examples each.

    Cost: two gradients per example.

    Raises `ArgumentError` if there are no weights, or too few examples.

    References:
        McCandlish, Kaplan, Amodei et al., An empirical model of large-batch training, 2018,
        arXiv:1812.06162.
    """
    found = gradient_noise(subject, "noise-scale", batches=batches, batch=batch)
    square, variance = found.estimate()
    drawn = found.draws(np.random.default_rng(subject.seed))
    ratios = [v / s if s > 0 else math.inf for s, v in drawn]
    low, high = (float(q) for q in np.quantile(ratios, [0.025, 0.975], method="nearest"))
    value = variance / square if square > 0 else math.inf
    interval = (max(0.0, min(low, value)), max(high, value))
    used = None if subject.descent is None else subject.descent.batch_size
    said = _said(value, interval, found.part)
    threshold, remedy = None, ""
    if used is None:
        verdict = Verdict.UNKNOWN
        said += ", and no batch size is on record to compare it with"
        remedy = "audit a run's folder, which says it, or give descent=Descent(..., batch_size=...)"
    else:
        size = used or len(subject.parts[found.part])
        threshold = Threshold(
            size / 9, "below", "convention", "batch/9: nine of ten examples change nothing"
        )
        verdict = threshold.judge(interval)
        least = interval[0] if math.isinf(value) else value
        share = f"{'at most ' if math.isinf(value) else ''}{100 / (1 + least / size):.3g} %"
        if math.isfinite(least):
            said += f"; a gradient of {size} makes {share} of the progress of the exact one"
        if verdict is Verdict.WARN:
            size = max(1, round(2 * value))
            remedy = f"batches of {size} ([train] batch_size) train as well per step, for less"
    return Finding(
        check="noise-scale",
        verdict=verdict,
        statement=said + ".",
        value=value,
        interval=interval,
        level=LEVEL,
        unit="examples",
        threshold=threshold,
        evidence={
            "gradient_squared": square,
            "trace_of_covariance": variance,
            "batches": len(found.gram),
            "batch": found.batch,
            "part": found.part,
            "seed": subject.seed,
        },
        verified=found.verified,
        remedy=remedy,
    )


def _said(value: float, interval: tuple[float, float], part: str) -> str:
    if math.isfinite(value):
        shown = f"{value:.3g} [{interval_words(*interval)}]"
        return f"The gradient noise scale is {shown} examples on the {part} part"
    said = f"The mean gradient on the {part} part cannot be told from 0"
    if math.isinf(interval[0]):
        return said
    return f"{said}; its noise scale is {interval_words(*interval)} examples"


CHECK = Check(
    noise_scale,
    family="curvature",
    question="How many examples per gradient are worth their price?",
    cost=lambda *_, **__: 0,
    shared=shared_noise,
    batch=32,
    settings={
        "quick": {"batches": 16, "batch": 16},
        "standard": {"batches": 32, "batch": 32},
        "deep": {"batches": 64, "batch": 128},
    },
)
