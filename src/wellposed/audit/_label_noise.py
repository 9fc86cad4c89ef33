"""Which labels are wrong, and how many?"""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from wellposed.audit._check import Check, forward
from wellposed.audit._counted import counted
from wellposed.audit._pictures import pictures_of
from wellposed.audit._probabilities import said as say
from wellposed.audit._subject import Subject
from wellposed.errors import ArgumentError, require
from wellposed.runs import Bars, Figure, Finding, Listing, Picture, Pictures, Threshold, Verdict
from wellposed.stats import (
    clopper_pearson,
    confident_joint,
    confident_noise,
    left_out,
    newcombe,
    temperature,
)

LEVEL, LIKELY, RARE, CLEAR, CLEAREST = 0.95, 0.8, 0.01, 0.2, 0.05
USUAL = 0.033
"""Mean share of label errors in ten test sets; Northcutt, Athalye and Mueller, arXiv:2103.14749."""
WEAK = 0.5
"""A judge that errs more than this, in units of always naming one class, knows too little."""
FEATURES, FEWEST, SHOWN = 784, 100, 12


@final
@dataclass(frozen=True)
class Opinion:
    """What a judge that has not seen the labels of a part says of them.

    Args:
        part: Which part.
        judge: Who, in words.
        rows: Row numbers in the part, shape (n,).
        labels: As given.
        chances: Probabilities of the classes, shape (n, classes).
        order: Places from the clearest answer to the least clear.
    """

    part: str
    judge: str
    rows: Tensor
    labels: NDArray[np.int64]
    chances: NDArray[np.float64]
    order: NDArray[np.int64]

    @property
    def against(self) -> NDArray[np.bool_]:
        """Where the judge names another class than the label."""
        return np.asarray(self.chances.argmax(1) != self.labels, dtype=np.bool_)

    def count(self, share: float) -> tuple[int, int]:
        """How many of the clearest answers contradict the label, and of how many."""
        n = max(1, round(share * len(self.order)))
        return int(self.against[self.order[:n]].sum()), n

    @property
    def suspects(self) -> NDArray[np.int64]:
        """Places that contradict their label, the most certain first."""
        place = np.arange(len(self.labels))
        margin = self.chances.max(1) - self.chances[place, self.labels]
        found = np.argsort(-margin, kind="stable")
        return np.asarray(found[self.against[found]], dtype=np.int64)


def label_noise(subject: Subject, *, train: int = 5000, examples: int | None = None) -> Finding:
    r"""Count how often a judge that has not seen the labels contradicts them where it is sure.

    For the judged part that is the network itself. For the training part the network has learned
    the labels, wrong ones too, so that it is ridge regression on the inputs (pictures reduced
    to at most 784 numbers), which has a closed form for what it would say of each example without
    having seen it. Confident learning counts hard examples as errors: 9.9 % for such a
    judge on Fashion-MNIST as it is. So the estimate is the share of labels that are contradicted
    among the fifth of the examples with the clearest answers, where hard ones are rare: 0.5 %
    there, 9.8 % when 10 % of the labels are changed. It bounds the share of wrong labels from
    above, as far as wrong labels are as frequent among clear examples as among others.

    It warns where that share is above 3.3 % with its whole interval, and contradictions do not
    become more frequent within the fifth, as they do with a judge that errs itself: the clearest
    twentieth is above 3.3 % as well, at level 0.8. It warns as well where ridge regression
    contradicts the training labels by more than 3.3 points more often than those of the judged
    part.

    Args:
        subject: A classifier.
        train: At most this many training examples.
        examples: At most this many judged ones.

    Cost: one forward pass per judged example, and an eigendecomposition of order 784 or less.

    Raises `ArgumentError` if the subject is no classifier, or there are fewer than 100 examples.

    References:
        Northcutt, Jiang and Chuang, Confident learning, 2021, arXiv:1911.00068; Northcutt, Athalye
        and Mueller, Pervasive label errors in test sets, 2021, arXiv:2103.14749.
    """
    subject.require_classes("label-noise")
    opinions, excess = [], None
    if subject.judged != "train":
        opinions.append(_network(subject, examples))
    if "train" in subject.parts:
        opinion, excess = _regression(subject, train, examples)
        opinions.append(opinion)
    judged = [_judge(o, excess if o.part == "train" else None) for o in opinions]
    verdict, opinion, words = min(judged, key=lambda j: j[0].rank)
    k, n = opinion.count(CLEAR)
    interval = clopper_pearson(k, n, LEVEL)
    found = "; ".join(_sentence(o) for o in opinions)
    return Finding(
        check="label-noise",
        verdict=verdict,
        statement=f"Labels contradicted where the judge is surest: {found}{words}.",
        value=k / n,
        interval=interval,
        level=LEVEL,
        unit="share",
        threshold=Threshold(
            USUAL, "above", "literature", "mean of ten test sets, arXiv:2103.14749"
        ),
        where=_where(opinion) if verdict is Verdict.WARN else "",
        evidence={
            "parts": {o.part: _shown(o) for o in opinions},
            "excess_of_train": None if excess is None else list(excess),
            "seed": subject.seed,
        },
        verified=_verify(opinions),
        remedy="look at the suspects and correct them; until then a loss that bounds single "
        "examples, or training without them"
        if verdict is Verdict.WARN
        else "",
        figures=_figures(subject, opinions, opinion),
    )


def _network(subject: Subject, examples: int | None) -> Opinion:
    """The network about the judged part, at the temperature that fits there."""
    part = subject.judged
    found = say(subject, "label-noise", part, examples)
    _require_enough(part, len(found.labels))
    with suppress(ArgumentError):  # it contradicts no label at all
        found = found.scaled(max(temperature(found.logits, found.labels).value, 1e-6))
    top = np.partition(found.logits, -2, axis=1)
    order = np.argsort(top[:, -2] - top[:, -1], kind="stable")
    rows = subject.rows(part, len(found.labels))
    return Opinion(part, "the network", rows, found.labels, found.chances, order)


def _regression(
    subject: Subject, train: int, examples: int | None
) -> tuple[Opinion, tuple[float, float] | None]:
    """Leave-one-out ridge regression about the training part; and what it says elsewhere."""
    classes = max(2, len(subject.classes))
    first, _ = subject.parts["train"].take(torch.arange(1))
    wide = first.numel() > FEATURES and not (first.dim() == 4 and first.is_floating_point())
    rows = subject.rows("train", min(train, 2000) if wide else train)
    inputs, targets = subject.parts["train"].take(rows)
    labels = targets.cpu().numpy().astype(np.int64)
    _require_enough("train", len(labels))
    inside = labels.ndim == 1 and bool((labels >= 0).all() and (labels < classes).all())
    require(
        inside and len(np.unique(labels)) > 1,
        f"label-noise needs training labels 0 to {classes - 1}, of two classes or more",
    )
    fit = left_out(_features(inputs), labels, classes)
    margin = _margin(fit.scores)
    try:
        warmth = temperature(fit.scores, labels).value
    except ArgumentError:
        warmth = 0.05
    logits = fit.scores / warmth
    chances = np.exp(logits - logits.max(1, keepdims=True))
    chances /= chances.sum(1, keepdims=True)
    order = np.argsort(-margin, kind="stable")
    judge = "ridge regression without the example"
    opinion = Opinion("train", judge, rows, labels, chances, order)
    if subject.judged == "train":
        return opinion, None
    other = subject.rows(subject.judged, min(train, examples or train))
    shown, truth = subject.parts[subject.judged].take(other)
    scores = fit.predict(_features(shown))
    k, n = opinion.count(CLEAR)
    clear = _margin(scores) >= margin[order[n - 1]]
    wrong = (scores.argmax(1) != truth.cpu().numpy()) & clear
    if clear.sum() < 20:
        return opinion, None
    return opinion, newcombe((k, n), (int(wrong.sum()), int(clear.sum())), 1 - 2 * RARE)


def _features(inputs: Tensor) -> NDArray[np.float64]:
    """At most 784 numbers for a picture; integers are counted by value."""
    if not inputs.is_floating_point():
        return counted(inputs.long() % FEATURES, FEATURES)
    x = inputs.cpu()
    if x.dim() == 4 and x[0].numel() > FEATURES:
        side = max(1, int((FEATURES / x.shape[1]) ** 0.5))
        x = adaptive_avg_pool2d(x.float(), (min(side, x.shape[2]), min(side, x.shape[3])))
    found: NDArray[np.float64] = torch.nan_to_num(x.flatten(1).double()).numpy()
    return found


def _margin(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    two = np.partition(scores, -2, axis=1)
    return np.asarray(two[:, -1] - two[:, -2], dtype=np.float64)


def _require_enough(part: str, n: int) -> None:
    require(n >= FEWEST, f"label-noise needs at least {FEWEST} {part} examples, got {n}; give more")


def _judge(o: Opinion, excess: tuple[float, float] | None) -> tuple[Verdict, Opinion, str]:
    """The verdict on a part, and what to add to the statement."""
    k, n = o.count(CLEAR)
    low, high = clopper_pearson(k, n, LEVEL)
    if excess is not None and excess[0] > USUAL:
        more = f"[{100 * excess[0]:.1f}, {100 * excess[1]:.1f}]"
        return Verdict.WARN, o, f"; train by {more} points more than the same judge elsewhere"
    if high <= USUAL:
        return Verdict.PASS, o, ""
    if low <= USUAL:
        return Verdict.UNKNOWN, o, f"; too few examples to tell it from {100 * USUAL:g} %"
    top, m = o.count(CLEAREST)
    rises = newcombe((k - top, max(1, n - m)), (top, m), 1 - 2 * RARE)[0] > 0
    agrees = clopper_pearson(top, m, LIKELY)[0] > USUAL
    blind = 1 - np.bincount(o.labels).max() / len(o.labels)
    if o.against.mean() > WEAK * blind or rises or not agrees:
        return Verdict.UNKNOWN, o, f"; {o.judge} errs too often itself to judge {o.part}"
    return Verdict.WARN, o, f"; so about {100 * k / n:.0f} % of the {o.part} labels are wrong"


def _sentence(o: Opinion) -> str:
    k, n = o.count(CLEAR)
    low, high = clopper_pearson(k, n, LEVEL)
    ends = f"[{100 * low:.2f}, {100 * high:.2f}]"
    return f"{100 * k / n:.2f} % {ends} in {o.part} ({o.judge})"


def _where(o: Opinion) -> str:
    return ", ".join(f"{o.part} {int(o.rows[i])}" for i in o.suspects[:8])


def _shown(o: Opinion) -> dict[str, Any]:
    (k, n), (top, m) = o.count(CLEAR), o.count(CLEAREST)
    joint = confident_joint(o.chances, o.labels)
    return {
        "judge": o.judge,
        "examples": len(o.labels),
        "contradicted": int(o.against.sum()),
        "clear": {"contradicted": k, "of": n},
        "clearest": {"contradicted": top, "of": m},
        "confident_learning": confident_noise(joint) if joint.sum() else None,
        "suspects": [
            int(o.rows[i]) for i in o.suspects[: max(SHOWN, round(k / n * len(o.labels)))]
        ],
    }


def _verify(opinions: list[Opinion]) -> str:
    """The counts by sorting again, class by class."""
    for o in opinions:
        k, n = o.count(CLEAR)
        chosen = set(o.order[:n].tolist())
        again = sum(
            1
            for c in range(o.chances.shape[1])
            for i in np.flatnonzero(o.labels == c)
            if int(i) in chosen and int(o.chances[i].argmax()) != c
        )
        if again != k:
            return f"contradictions recounted class by class: DIFFERENT in {o.part}"
    return "contradictions recounted class by class: equal"


def _figures(subject: Subject, opinions: list[Opinion], worst: Opinion) -> tuple[Figure, ...]:
    bars = []
    for o in opinions:
        shares = (CLEAREST, CLEAR, 0.5, 1.0)
        counts = [o.count(s) for s in shares]
        ends = [clopper_pearson(k, n, LEVEL) for k, n in counts]
        bars.append(
            Bars(
                f"Labels that {o.judge} contradicts, {o.part}",
                tuple(f"clearest {100 * s:g} %" for s in shares),
                tuple(k / n for k, n in counts),
                tuple(e[0] for e in ends),
                tuple(e[1] for e in ends),
                y_label="contradicted",
                percent=True,
                note="Wrong labels are as frequent among clear examples; errors of the judge are "
                f"not. Clopper-Pearson intervals at {100 * LEVEL:g} %.",
            )
        )
    return (*bars, *_suspects(subject, worst))


def _suspects(subject: Subject, o: Opinion) -> tuple[Figure, ...]:
    places = o.suspects[:SHOWN]
    if not len(places):
        return ()
    words = [
        (
            f"{o.part} {int(o.rows[i])}",
            _name(subject, int(o.labels[i])),
            _name(subject, int(o.chances[i].argmax())),
            f"{o.chances[i].max():.2f}",
        )
        for i in places
    ]
    inputs, _ = subject.parts[o.part].take(o.rows[torch.from_numpy(places)])
    shown = pictures_of(subject, inputs)
    if not shown:
        header = ("example", "label", "rather", "probability")
        return (Listing("Suspect labels", header, tuple(words), right=3),)
    pictures = [
        Picture(png, f"{where}: {label}, rather {rather}")
        for png, (where, label, rather, _) in zip(shown, words, strict=True)
    ]
    rows = tuple(tuple(pictures[i : i + 6]) for i in range(0, len(pictures), 6))
    return (Pictures("Suspect labels, the surest first", rows),)


def _name(subject: Subject, number: int) -> str:
    return subject.classes[number] if number < len(subject.classes) else str(number)


CHECK = Check(
    label_noise,
    family="data",
    question="Which labels are wrong, and how many?",
    cost=lambda subject, examples=None, **_: forward(
        min(len(subject.parts[subject.judged]), examples or len(subject.parts[subject.judged]))
        if subject.judged != "train"
        else 0
    ),
    settings={
        "quick": {"train": 1000, "examples": 1000},
        "standard": {"examples": 10_000},
        "deep": {"train": 20_000},
    },
)
