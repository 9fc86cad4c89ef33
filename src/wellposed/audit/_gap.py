"""How much worse is the network on examples that it was not trained on?"""

from torch import Tensor

from wellposed.audit._check import Check, forward_over
from wellposed.audit._subject import Subject
from wellposed.problem import top_k_error
from wellposed.runs import Bars, Finding, Threshold, Verdict
from wellposed.stats import clopper_pearson, newcombe

LEVEL = 0.95
LARGE = 0.1
"""A gap of more than this is worth a warning; by convention, since no theorem names one."""


def gap(subject: Subject, *, examples: int | None = None) -> Finding:
    r"""Compare the error on the training part with the error on examples kept apart.

    The gap is $\hat e_\text{test} - \hat e_\text{train}$; its interval is Newcombe's, from the
    Wilson intervals of the two independent shares. Every network that learned anything has a gap,
    and one that fits its training part without an error may be excellent: the error on the part
    kept apart is what counts. So a gap is a warning only where it is surely more than 10 points,
    and never a failure.

    Args:
        subject: A classifier with a train part and a test or validation part.
        examples: At most this many of each part; None for all.

    Cost: one forward pass per example.

    Raises `ArgumentError` if the subject is no classifier, or a part is missing.

    References:
        Newcombe, Interval estimation for the difference between independent proportions:
        comparison of eleven methods, 1998, method 10; Zhang, Bengio, Hardt, Recht and Vinyals,
        Understanding deep learning requires rethinking generalization, 2017, arXiv:1611.03530.
    """
    subject.require_classes("gap")
    apart = subject.require_apart("gap")
    counts = {part: _wrong(subject, part, examples) for part in ("train", apart)}
    shares = {part: k / n for part, (k, n) in counts.items()}
    value = shares[apart] - shares["train"]
    interval = newcombe(counts[apart], counts["train"], LEVEL)
    threshold = Threshold(
        LARGE, "above", "convention", "10 points; a gap alone is no fault (arXiv:1611.03530)"
    )
    verdict = threshold.judge(interval)
    ends = {part: clopper_pearson(k, n, LEVEL) for part, (k, n) in counts.items()}
    said = ", ".join(
        f"{100 * shares[p]:.2f} % [{100 * ends[p][0]:.2f}, {100 * ends[p][1]:.2f}] on {p}"
        for p in counts
    )
    sure = f", [{100 * interval[0]:+.2f}, {100 * interval[1]:+.2f}]"
    return Finding(
        check="gap",
        verdict=verdict,
        statement=f"The error is {said}: {100 * value:+.2f} points apart{sure}.",
        value=value,
        interval=interval,
        level=LEVEL,
        unit="share",
        threshold=threshold,
        evidence={
            "wrong": {p: k for p, (k, _) in counts.items()},
            "examples": {p: n for p, (_, n) in counts.items()},
            "error_intervals": {p: list(e) for p, e in ends.items()},
            "seed": subject.seed,
        },
        verified=_recount(subject, apart, examples, counts[apart][0]),
        remedy=""
        if verdict is Verdict.PASS
        else "the gap is what more data, augmentation ([[augment]]), weight decay or an earlier "
        "stop can close; the error on the part kept apart is what counts",
        figures=(
            Bars(
                "Error by part",
                tuple(counts),
                tuple(shares.values()),
                tuple(e[0] for e in ends.values()),
                tuple(e[1] for e in ends.values()),
                y_label="error",
                percent=True,
                note=f"Clopper-Pearson intervals at {100 * LEVEL:g} %.",
            ),
        ),
    )


def _wrong(subject: Subject, part: str, examples: int | None) -> tuple[int, int]:
    outputs, targets = subject.outputs(part, examples)
    return round(float(top_k_error(outputs, targets).double().sum())), len(targets)


def _recount(subject: Subject, part: str, examples: int | None, wrong: int) -> str:
    """The same count from the predictions alone, class by class."""
    outputs, targets = subject.outputs(part, examples)
    guess: Tensor = outputs.argmax(1)
    hits = sum(int(((guess == c) & (targets == c)).sum()) for c in range(outputs.shape[1]))
    broken = int(outputs.isnan().any(1).sum())
    agrees = len(targets) - hits == wrong or broken > 0
    return f"errors recounted class by class: {'equal' if agrees else 'DIFFERENT'}"


CHECK = Check(
    gap,
    family="generalization",
    question="How much worse is it on examples that it was not trained on?",
    cost=lambda subject, examples=None: forward_over(subject, ("train", subject.judged), examples),
    settings={"quick": {"examples": 1000}, "standard": {"examples": 10_000}, "deep": {}},
)
