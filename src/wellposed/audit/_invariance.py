"""Does the network still see the same where a person does?"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from wellposed.audit._invariance_figures import (
    accuracy_curves,
    consistency_curves,
    pictured,
    pictures,
)
from wellposed.audit._response import (
    SEVERITIES,
    Plain,
    Response,
    plain,
    predicted,
    respond,
    seed_of,
    views,
)
from wellposed.audit._subject import Subject
from wellposed.errors import require
from wellposed.perturb import Perturbation, factors
from wellposed.runs import Finding, Pictures, Threshold, Verdict
from wellposed.stats import paired_shares, wilson

LEVEL = 0.95
MILD = 2
LOSS = 0.05
_AGAIN = 0.9  # of the predictions, asked for twice: less is more than rounding
_SOURCE = "ours: at severity 2 a person still names what is seen"
_AUGMENTATIONS = {
    "Shift": "shift",
    "Rotation": "rotation",
    "Elastic": "elastic",
    "Occlusion": "cutout",
}


def invariance(subject: Subject, factor: str, *, examples: int | None = 1000) -> Finding:
    r"""Accuracy, and the share of unchanged predictions, as one factor varies.

    The same examples are changed by each perturbation of the factor (`wellposed.perturb.factors`)
    at severities 1 to 5. The value is the accuracy that is lost at severity 2 to the perturbation
    that costs most. As the examples are the same, the interval is that of paired shares
    (`wellposed.stats.paired_shares`), and with k perturbations each of them gets the level
    $1 - 0.05 / k$: that of the largest loss reaches from the largest lower end to the largest
    upper end. Accuracies and shares in the figures have Wilson intervals, each for itself.

    Images are changed in raw units, within their range. The way there and back, without a change,
    is checked to leave predictions as they are.

    Args:
        subject: A classifier of images, whose input range is known.
        factor: One of `wellposed.perturb.factors()`.
        examples: At most this many; None for all.

    Cost: five forward passes per example and perturbation, and for the first factor two more.

    Raises `ArgumentError` if inputs are no images of a known range, the subject is no classifier,
    or it has nothing to lose because it is no better than naming the most frequent class.

    References:
        Hendrycks and Dietterich, Benchmarking neural network robustness to common corruptions and
        perturbations, 2019, arXiv:1903.12261, for five severities; values and verdict are ours.
    """
    subject.require_classes(factor)
    base = plain(subject, factor, examples)
    right = base.predictions == base.targets
    _require_skill(factor, base, right)
    responses, refused = respond(subject, factor, factors()[factor], examples)
    require(bool(responses), f"{factor} cannot be varied: {'; '.join(refused)}")
    losses = [lost_and_gained(base, response) for response in responses]
    value, interval, worst = largest_loss(losses, len(right))
    threshold = Threshold(LOSS, "above", "convention", _SOURCE)
    verdict = threshold.judge(interval)
    sheets, verified = _seen_again(subject, base, responses, examples)
    return Finding(
        check=factor,
        verdict=verdict,
        statement=_statement(base, responses, worst, (value, *interval), refused),
        value=value,
        interval=interval,
        level=LEVEL,
        unit="share",
        threshold=threshold,
        evidence=_evidence(subject, base, responses, refused),
        verified=f"in raw units and back, without a change, {base.moved} of {len(right)} "
        f"predictions differ from those of the inputs as they are; {verified}",
        remedy="" if verdict is Verdict.PASS else _remedy(verdict, responses[worst].kind),
        figures=(
            accuracy_curves(base, responses, LEVEL),
            consistency_curves(base, responses, LEVEL),
            *sheets,
        ),
    )


def largest_loss(
    changes: Sequence[tuple[int, int]], n: int, level: float = LEVEL
) -> tuple[float, tuple[float, float], int]:
    """The largest share that any of k changes costs, its interval, and which change it is.

    All k intervals hold together at the level (Bonferroni), and then the largest of the true
    losses lies between the largest lower and the largest upper end.

    Args:
        changes: (lost, gained) of each, counted on the same n cases.
        n: Cases.
        level: Of the interval.
    """
    ends = [paired_shares(*change, n, 1 - (1 - level) / len(changes)) for change in changes]
    values = [(lost - gained) / n for lost, gained in changes]
    worst = max(range(len(values)), key=values.__getitem__)
    return values[worst], (max(low for low, _ in ends), max(high for _, high in ends)), worst


def lost_and_gained(base: Plain, response: Response) -> tuple[int, int]:
    """How many examples are right before and wrong at the mild severity, and the reverse."""
    before = base.predictions == base.targets
    after = response.predictions[MILD - 1] == base.targets
    return int((before & ~after).sum()), int((after & ~before).sum())


def _require_skill(factor: str, base: Plain, right: Tensor) -> None:
    n, k = len(right), int(right.sum())
    most = int(base.targets.unique(return_counts=True)[1].max())
    require(
        wilson(k, n, LEVEL)[0] > most / n,
        f"{factor} measures what accuracy is lost, and there is none to lose: {k} of {n} "
        f"{base.part} examples are right, and always naming the most frequent class has {most}; "
        "train first, or give data of more than one class",
    )


def _statement(
    base: Plain,
    responses: Sequence[Response],
    worst: int,
    loss: tuple[float, float, float],
    refused: Sequence[str],
) -> str:
    response, kind = responses[worst], responses[worst].kind
    shares = [_share(guess, base.targets) for guess in response.predictions]
    names = ", ".join(r.kind.__name__ for r in responses)
    value, low, high = (100 * number for number in loss)
    most = f", the most of {names}" if len(responses) > 1 else ""
    said = (
        f"{kind.__name__} ({kind.parameter} {kind(MILD).strength:g}, severity {MILD}) costs "
        f"{value:.1f} points of accuracy "
        f"[{low:.1f}, {high:.1f}]{most}: {100 * shares[MILD - 1]:.1f} % instead of "
        f"{100 * _share(base.predictions, base.targets):.1f} % of {len(base.targets)} {base.part} "
        "examples are right, and "
        f"{100 * _share(response.predictions[MILD - 1], base.predictions):.1f} % of predictions "
        f"stay; at severity 5, {100 * shares[-1]:.1f} % are right."
    )
    return said + "".join(f" Not measured: {why}." for why in refused)


def _share(guess: Tensor, wanted: Tensor) -> float:
    return int((guess == wanted).sum()) / len(wanted)


def _evidence(
    subject: Subject, base: Plain, responses: Sequence[Response], refused: Sequence[str]
) -> dict[str, Any]:
    return {
        "part": base.part,
        "examples": len(base.targets),
        "seed": subject.seed,
        "batch_seeds": [seed_of(subject, number) for number in range(base.batches)],
        "input_range": list(base.input_range),
        "right": int((base.predictions == base.targets).sum()),
        "perturbations": [
            {"name": r.kind.__name__, "parameter": r.kind.parameter, "severities": _rows(base, r)}
            for r in responses
        ],
        "not_measured": list(refused),
    }


def _rows(base: Plain, response: Response) -> list[dict[str, Any]]:
    n, rows = len(base.targets), []
    for severity in SEVERITIES:
        guess = response.predictions[severity - 1]
        right, same = int((guess == base.targets).sum()), int((guess == base.predictions).sum())
        rows.append(
            {
                "severity": severity,
                "strength": response.kind(severity).strength,
                "right": right,
                "accuracy": right / n,
                "accuracy_interval": list(wilson(right, n, LEVEL)),
                "unchanged": same / n,
                "unchanged_interval": list(wilson(same, n, LEVEL)),
                "sha256": response.sha256[severity - 1],
            }
        )
    return rows


def _seen_again(
    subject: Subject, base: Plain, responses: Sequence[Response], examples: int | None
) -> tuple[list[Pictures], str]:
    """Pictures of a few examples, which are changed and judged a second time, apart from others."""
    rows = pictured(base, base.first)
    sheets: list[Pictures] = []
    equal, total = 0, 0
    for response in responses:
        images = views(subject, response.kind.factor, response.kind, examples, rows)
        for image, before in zip(images[1:], response.predictions, strict=True):
            equal += int((predicted(subject, image) == before[rows]).sum())
            total += len(rows)
        sheets += pictures(subject, base, response, rows, images)
    require(
        equal >= _AGAIN * total,
        f"the network says the same of {equal} of {total} equal images when asked twice, so that "
        "a change cannot be seen; find what is random in eval mode",
    )
    return sheets, f"{equal} of {total} changed examples get the same prediction a second time"


def _remedy(verdict: Verdict, kind: type[Perturbation]) -> str:
    if verdict is Verdict.UNKNOWN:
        return "the interval holds the threshold: more examples decide, as with --budget deep"
    name = kind.__name__
    if name in _AUGMENTATIONS:
        return (
            f'train with [[augment]] name = "{_AUGMENTATIONS[name]}" '
            f"(wellposed.data.{_AUGMENTATIONS[name].capitalize()}), which varies this"
        )
    return (
        f"no augmentation of wellposed.data varies this; train on images of which some are changed "
        f"by wellposed.perturb.{name}"
    )
