"""Does a single number of the input give the label away?"""

from typing import Any

import numpy as np
import torch

from wellposed.audit._check import Check, forward
from wellposed.audit._few import few
from wellposed.audit._single_feature import Single, recount, singles
from wellposed.audit._subject import Subject
from wellposed.errors import require
from wellposed.problem import eval_mode
from wellposed.runs import Bars, Finding, Mark, Threshold, Verdict
from wellposed.stats import clopper_pearson, tango

LEVEL = 0.95
TELLING = 0.8
"""A single feature that removes more than this share of the errors of guessing is a leak."""
CARRYING = 0.5
"""So is one without which the network loses more than this share of what it has over guessing."""
FEWEST = 16
"""With fewer features, a single one may rightly decide."""
PROBED = 256


def leak(subject: Subject, *, examples: int = 5000, shuffled: int = 2) -> Finding:
    r"""Predict the label from a single number of the input, as no honest picture allows.

    Each feature (a pixel, a token's place) is cut into at most 64 bins by its quantiles, and each
    bin names its most frequent class: the best classifier of one feature in closed form, by
    counting on the training part. One is made for "which class?", and one for "class k or
    not?" for every k; the feature with the fewest errors *on the training part* is judged
    on the part kept apart. Its skill is the share of the errors of guessing that it
    removes, 1 - errors / errors of guessing; its interval is Clopper and Pearson's, with
    Bonferroni's correction for the classes + 1 questions.

    The features found, and those to which the largest logit reacts most (its derivative times
    their standard deviation, over 256 examples), are then shuffled among the judged examples, one
    at a time: what the network loses of its accuracy is what it owes to that one number. More
    than half of what it has over guessing is a warning too.

    Args:
        subject: A classifier with a train part and a test or validation part.
        examples: At most this many of each part, at least 1.
        shuffled: Features of each kind that are shuffled, at least 0.

    Cost: one forward pass per judged example, as many for every feature shuffled, and 256
    gradients.

    Raises `ArgumentError` if the subject is no classifier, a part is missing, or the inputs have
    fewer than 16 features.

    References:
        Holte, Very simple classification rules perform well on most commonly used datasets, 1993;
        Kaufman, Rosset, Perlich and Stitelman, Leakage in data mining, 2012.
    """
    classes = subject.require_classes("leak")
    apart = subject.require_apart("leak")
    inputs, labels = subject.take(apart, few(subject, apart, examples))
    fit_inputs, fit_labels = subject.take("train", few(subject, "train", examples))
    x, y = _flat(fit_inputs), fit_labels.cpu().numpy()
    z, t = _flat(inputs), labels.cpu().numpy()
    require(
        x.shape[1] >= FEWEST,
        f"the inputs have {x.shape[1]} features, and with fewer than {FEWEST} a single one may "
        "rightly decide; look at them one by one instead",
    )
    found = singles(x, y, z, t, classes)
    require(
        bool(found),
        "leak needs two classes in the part kept apart, where guessing has errors to remove",
    )
    best = max(found, key=lambda s: s.skill)
    level = 1 - (1 - LEVEL) / len(found)
    low, high = clopper_pearson(best.wrong, best.examples, level)
    share = best.guessed / best.examples
    interval = (1 - high / share, 1 - low / share)
    before = subject.outputs(apart, len(labels))[0].argmax(1).to(labels.device) == labels
    features = _features(found, shuffled) + _moving(subject, inputs[:PROBED], shuffled)
    owed = [_owed(subject, inputs, labels, before, f) for f in dict.fromkeys(features)]
    most = max(owed, key=lambda o: o["lost"], default=None)
    threshold = Threshold(
        TELLING, "above", "convention", f"{100 * TELLING:g} % of the errors of guessing"
    )
    carried = most is not None and most["low"] > CARRYING * max(most["above_guessing"], 0.02)
    verdict = Verdict.WARN if interval[0] > TELLING or carried else Verdict.PASS
    place = _place(best.feature, inputs.shape[1:])
    named = f" without the feature at {_place(most['feature'], inputs.shape[1:])}" if most else ""
    lost = (
        f"; the network loses {100 * most['lost']:+.2f} points of accuracy{named}" if most else ""
    )
    return Finding(
        check="leak",
        verdict=verdict,
        statement=f"The feature at {place} alone removes {100 * best.skill:.1f} % "
        f"[{100 * interval[0]:.1f}, {100 * interval[1]:.1f}] of the errors of guessing "
        f"{best.asked}{lost}.",
        value=best.skill,
        interval=interval,
        level=LEVEL,
        unit="share of the errors of guessing",
        threshold=threshold,
        where=f"input feature at {place}" if verdict is Verdict.WARN else "",
        evidence={
            "features": x.shape[1],
            "examples": {"train": len(y), apart: len(t)},
            "questions": len(found),
            "wrong": best.wrong,
            "wrong_by_guessing": best.guessed,
            "shuffled": owed,
            "seed": subject.seed,
        },
        verified=recount(x[:, best.feature], y, z[:, best.feature], t, best, classes),
        remedy="look at this feature in both parts: a mark, a file's border or an index that goes "
        "with the label must go, and the network be trained anew"
        if verdict is Verdict.WARN
        else "",
        figures=(
            Bars(
                "Errors of guessing that the best single feature removes",
                tuple(s.asked for s in found[:20]),
                tuple(s.skill for s in found[:20]),
                y_label="share",
                percent=True,
                marks=(Mark("y", TELLING, "leak"),),
                note="For the class as a whole, and for each class against the others.",
            ),
        ),
    )


def _flat(inputs: torch.Tensor) -> np.ndarray:
    """One row of numbers per example."""
    found: np.ndarray = np.nan_to_num(inputs.detach().flatten(1).float().cpu().numpy())
    return found


def _features(found: list[Single], count: int) -> list[int]:
    """The features that tell the most, no two the same."""
    ranked = sorted(found, key=lambda s: -s.skill)
    return list(dict.fromkeys(s.feature for s in ranked))[:count]


def _moving(subject: Subject, inputs: torch.Tensor, count: int) -> list[int]:
    """The features to which the largest logit reacts most; none where inputs are whole numbers."""
    if not inputs.is_floating_point() or not count:
        return []
    with subject.quiet() as model:
        x = inputs.detach().clone().requires_grad_()
        score = model(x).max(1).values.sum()
        if not score.requires_grad:
            return []
        [slope] = torch.autograd.grad(score, x)
    felt = slope.flatten(1).abs().mean(0) * inputs.flatten(1).std(0)
    return [int(f) for f in felt.nan_to_num().argsort(descending=True)[:count]]


def _owed(
    subject: Subject,
    inputs: torch.Tensor,
    labels: torch.Tensor,
    before: torch.Tensor,
    feature: int,
) -> dict[str, Any]:
    """What the network loses where one feature is that of another example."""
    order = torch.randperm(len(inputs), generator=subject.generator(f"leak {feature}"))
    changed = inputs.clone().flatten(1)
    changed[:, feature] = changed[order.to(inputs.device), feature]
    changed = changed.reshape(inputs.shape)
    with torch.no_grad(), eval_mode(subject.model):
        said = [subject.model(batch).argmax(1) for batch in changed.split(subject.batch_size)]
    after = torch.cat(said) == labels
    only_before, only_after = int((before & ~after).sum()), int((after & ~before).sum())
    low, high = tango(only_before, only_after, len(labels), LEVEL)
    guess = float(labels.bincount().max()) / len(labels)
    return {
        "feature": feature,
        "lost": (only_before - only_after) / len(labels),
        "low": low,
        "high": high,
        "above_guessing": float(before.float().mean()) - guess,
    }


def _place(feature: int, shape: torch.Size) -> str:
    """Where a feature is in an input: "(0, 3, 5)"."""
    where = np.unravel_index(feature, tuple(shape))
    return "(" + ", ".join(str(int(w)) for w in where) + ")"


def _cost(subject: Subject, examples: int = 5000, shuffled: int = 2) -> int:
    n = min(len(subject.parts[subject.judged]), examples)
    return forward((1 + 2 * shuffled) * n) + min(n, PROBED)


CHECK = Check(
    leak,
    family="generalization",
    question="Does a single number of the input give the label away?",
    cost=_cost,
    settings={
        "quick": {"examples": 1000, "shuffled": 1},
        "standard": {},
        "deep": {"examples": 20_000, "shuffled": 5},
    },
)
