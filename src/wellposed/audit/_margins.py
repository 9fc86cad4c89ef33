"""How clearly does the network decide?"""

import math

import numpy as np
import torch
from torch import Tensor

from wellposed.audit._check import Check, forward_over
from wellposed.audit._subject import Subject
from wellposed.errors import require
from wellposed.problem import top_k_error
from wellposed.runs import Curves, Finding, Mark, Series, Threshold, Verdict
from wellposed.stats import clopper_pearson, quantile_interval, wilson

LEVEL = 0.95
TIES = 0.05
"""More undecided examples than this are worth a warning, by convention."""
POINTS = 200


def margins(subject: Subject, *, examples: int | None = None) -> Finding:
    r"""Measure by how much the right class beats all others.

    The margin $m(x) = f_y(x) - \max_{j \ne y} f_j(x)$ is negative where the network errs, and
    below $\ln 2$ in size where it holds the right class and the best other one to be no more
    than twice as likely as each other. Where it is no larger than the rounding of the logits,
    the order of the classes decides: such a tie is what dead units or equal rows leave behind. Ties
    beyond 5 % are a warning; margins themselves are context.

    Args:
        subject: A classifier.
        examples: At most this many of each part; None for all.

    Cost: one forward pass per example.

    Raises `ArgumentError` if the subject is no classifier, or outputs are not finite.

    References:
        Koltchinskii and Panchenko, Empirical margin distributions and bounding the generalization
        error of combined classifiers, 2002; Massart, The tight constant in the
        Dvoretzky-Kiefer-Wolfowitz inequality, 1990 (the bands).
    """
    subject.require_classes("margins")
    parts = [p for p in ("train", subject.judged) if p in subject.parts]
    found = {p: _of(subject, p, examples) for p in dict.fromkeys(parts)}
    apart = subject.judged
    m, rounding = found[apart]
    n = len(m)
    ties = int((np.abs(m) <= rounding).sum())
    interval = clopper_pearson(ties, n, LEVEL)
    threshold = Threshold(TIES, "above", "convention", "5 % of the examples undecided")
    verdict = threshold.judge(interval)
    counts = {
        p: {
            "negative": int((v < 0).sum()),
            "within_ln_2": int((np.abs(v) < math.log(2)).sum()),
            "examples": len(v),
        }
        for p, (v, _) in found.items()
    }
    medians = {p: float(np.median(v)) for p, (v, _) in found.items()}
    wrong, small = counts[apart]["negative"], counts[apart]["within_ln_2"]
    ends = {k: [100 * e for e in wilson(k, n, LEVEL)] for k in (wrong, small)}
    return Finding(
        check="margins",
        verdict=verdict,
        statement=f"On {apart}, {100 * wrong / n:.2f} % [{ends[wrong][0]:.2f}, "
        f"{ends[wrong][1]:.2f}] of the margins are negative, {100 * small / n:.2f} % "
        f"[{ends[small][0]:.2f}, {ends[small][1]:.2f}] within ln 2 of zero, and "
        f"{ties} of {n:,} within rounding of it.",
        value=ties / n,
        interval=interval,
        level=LEVEL,
        unit="share of undecided examples",
        threshold=threshold,
        evidence={
            "counts": counts,
            "medians": medians,
            "median_intervals": {
                p: list(quantile_interval(v, 0.5, LEVEL)) for p, (v, _) in found.items()
            },
            "seed": subject.seed,
        },
        verified=_verified(subject, apart, examples, wrong, ties),
        remedy="look for dead units and for rows of the last layer that are equal: the logits do "
        "not depend on the input there"
        if verdict is not Verdict.PASS
        else "",
        figures=(distributions({p: v for p, (v, _) in found.items()}, "margin", "Margins"),),
    )


def distributions(values: dict[str, np.ndarray], label: str, heading: str) -> Curves:
    """Empirical distribution functions, with bands that hold everywhere at once."""
    series = []
    for part, found in values.items():
        x = np.sort(found)
        rows = np.unique(np.linspace(0, len(x) - 1, POINTS).astype(int))
        share = (rows + 1) / len(x)
        half = math.sqrt(math.log(2 / (1 - LEVEL)) / (2 * len(x)))
        series.append(
            Series(
                part,
                tuple(x[rows].tolist()),
                tuple(share.tolist()),
                tuple(np.maximum(share - half, 0).tolist()),
                tuple(np.minimum(share + half, 1).tolist()),
            )
        )
    return Curves(
        heading,
        label,
        "share of examples below",
        tuple(series),
        (Mark("x", 0.0, "wrong to the left"),),
        percent=True,
        note=f"Bands hold for the whole curve at {100 * LEVEL:g} % "
        "(Dvoretzky, Kiefer, Wolfowitz, Massart).",
    )


def margin(outputs: Tensor, targets: Tensor) -> Tensor:
    """The margin of each example, in float64, shape (batch,)."""
    scores = outputs.double()
    right = scores.gather(1, targets[:, None]).squeeze(1)
    others = scores.scatter(1, targets[:, None], -torch.inf).max(1).values
    return right - others


def _of(subject: Subject, part: str, examples: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Margins, and the rounding of each: 8 units in the last place of the largest logit."""
    outputs, targets = subject.outputs(part, examples)
    broken = len(outputs) - int(outputs.isfinite().all(1).sum())
    require(
        broken == 0,
        f"the outputs of {broken} of {len(outputs)} examples of {part} are not finite, so they "
        "have no margins; look for the first layer whose output is not",
    )
    least = 8 * torch.finfo(outputs.dtype).eps * outputs.abs().max(1).values.double()
    return margin(outputs, targets).numpy(), least.numpy()


def _verified(subject: Subject, part: str, examples: int | None, wrong: int, ties: int) -> str:
    """Negative margins against errors of the largest logit, which differ at most by ties."""
    outputs, targets = subject.outputs(part, examples)
    errors = round(float(top_k_error(outputs, targets).double().sum()))
    agrees = wrong <= errors <= wrong + ties
    return (
        f"{wrong} negative margins and {errors} errors counted from the largest logit: "
        f"{'the same up to ties' if agrees else 'DIFFERENT'}"
    )


CHECK = Check(
    margins,
    family="generalization",
    question="How clearly does it decide?",
    cost=lambda subject, examples=None: forward_over(subject, ("train", subject.judged), examples),
    settings={"quick": {"examples": 1000}, "standard": {"examples": 10_000}, "deep": {}},
)
