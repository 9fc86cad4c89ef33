"""Is the network better than a convex problem with a closed solution?"""

from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from scipy.linalg import eigh

from wellposed.audit._check import Check, forward
from wellposed.audit._counted import counted
from wellposed.audit._few import few
from wellposed.audit._subject import Subject
from wellposed.runs import Bars, Finding, Threshold, Verdict
from wellposed.stats import clopper_pearson, tango

LEVEL = 0.95
STRENGTHS = tuple(float(s) for s in np.logspace(-4, 2, 13))
"""Of the penalty, relative to the mean square of the inputs; cross-validated in closed form."""
VOCABULARY = 5000


@final
@dataclass(frozen=True, slots=True)
class Ridge:
    r"""Ridge regression of the classes on the inputs, $\min_W \|XW - Y\|^2 + \alpha \|W\|^2$.

    Args:
        weights: W, shape (features + 1, classes); the last row is the intercept.
        alpha: The penalty that has the fewest errors in leave-one-out.
        residual: $\|X^\top(XW - Y) + \alpha W\| / \|X^\top Y\|$: 0 at the minimum.
        left_out: Share of errors in leave-one-out on the training part.
    """

    weights: np.ndarray
    alpha: float
    residual: float
    left_out: float

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """The class of each row."""
        found: np.ndarray = (inputs @ self.weights[:-1] + self.weights[-1]).argmax(1)
        return found


def baseline(subject: Subject, *, fit: int = 5000, examples: int = 10_000) -> Finding:
    r"""Compare the network with ridge regression on the raw inputs, on the same examples.

    Ridge regression of the one-hot classes is a convex problem whose only minimum is known in
    closed form, and so is its leave-one-out error, by which the penalty is chosen. A network
    that is not better than that, though it saw at least as many examples, has not earned
    its non-convexity: on these inputs a well-posed problem does as well. The difference of the
    errors on the judged examples has Tango's interval for paired shares, which excludes 0
    where McNemar's test rejects. Integer inputs (tokens) are counted by value first.

    Args:
        subject: A classifier with a train part and a test or validation part.
        fit: At most this many training examples for the regression.
        examples: At most this many judged examples.

    Cost: one forward pass per judged example, and an eigendecomposition of order
    min(fit, features).

    Raises `ArgumentError` if the subject is no classifier, or a part is missing.

    References:
        Hoerl and Kennard, Ridge regression, 1970; Tango, Equivalence test and confidence interval
        for the difference in proportions for the paired-sample design, 1998.
    """
    subject.require_classes("baseline")
    apart = subject.require_apart("baseline")
    inputs, labels = subject.take("train", few(subject, "train", fit))
    model = ridge(_features(inputs), labels.cpu().numpy())
    shown, targets = subject.take(apart, few(subject, apart, examples))
    truth = targets.cpu().numpy()
    theirs = model.predict(_features(shown, like=inputs)) != truth
    outputs = subject.outputs(apart, len(truth))[0]
    ours = outputs.argmax(1).numpy() != truth
    n = len(truth)
    only_ours, only_theirs = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
    value = (only_ours - only_theirs) / n
    interval = tango(only_ours, only_theirs, n, LEVEL)
    threshold = Threshold(0, "above", "null distribution", "equal errors; McNemar, 1947")
    verdict = threshold.judge(interval, worst=Verdict.WARN)
    shares = {"network": int(ours.sum()), "ridge regression": int(theirs.sum())}
    ends = [clopper_pearson(k, n, LEVEL) for k in shares.values()]
    (a, b), sure = shares.values(), [100 * end for end in interval]
    return Finding(
        check="baseline",
        verdict=verdict,
        statement=f"On {n:,} examples of {apart} the network errs in {100 * a / n:.2f} %, ridge "
        f"regression from {len(labels):,} training examples in {100 * b / n:.2f} %: "
        f"{100 * value:+.2f} points [{sure[0]:+.2f}, {sure[1]:+.2f}].",
        value=value,
        interval=interval,
        level=LEVEL,
        unit="share",
        threshold=threshold,
        evidence={
            "wrong": shares,
            "only_one_wrong": {"network": only_ours, "ridge regression": only_theirs},
            "examples": {"train": len(labels), apart: n},
            "alpha": model.alpha,
            "left_out_error": model.left_out,
            "seed": subject.seed,
        },
        verified=f"the gradient of the regression is {model.residual:.0e} of X'Y at its solution",
        remedy=""
        if verdict is Verdict.PASS
        else _remedy(model, labels.cpu().numpy(), theirs, truth),
        figures=(
            Bars(
                "Error on the same examples",
                tuple(shares),
                tuple(k / n for k in shares.values()),
                tuple(e[0] for e in ends),
                tuple(e[1] for e in ends),
                y_label="error",
                percent=True,
                note=f"Clopper-Pearson intervals at {100 * LEVEL:g} %.",
            ),
        ),
    )


def _remedy(model: Ridge, labels: np.ndarray, wrong: np.ndarray, truth: np.ndarray) -> str:
    """Where the regression knows the training part and nothing of the other, no network is why."""
    n = len(labels)
    known = clopper_pearson(round(model.left_out * n), n, LEVEL)[1] < _blind(labels)
    nothing = clopper_pearson(int(wrong.sum()), len(wrong), LEVEL)[1] >= _blind(truth)
    if known and nothing:
        return (
            f"the regression errs in {100 * model.left_out:.3g} % of training examples that it has "
            "not seen, and here knows nothing: see whether inputs and labels belong together here, "
            "and are made as in training"
        )
    return "train longer or with another step size, or take the regression: its minimum is known"


def _blind(labels: np.ndarray) -> float:
    """The error of always naming the most frequent class."""
    return 1 - float(np.bincount(labels).max()) / len(labels)


def ridge(inputs: np.ndarray, labels: np.ndarray) -> Ridge:
    """Ridge regression of the one-hot classes; its penalty has the fewest leave-one-out errors.

    Args:
        inputs: Shape (n, features).
        labels: Class numbers, shape (n,).
    """
    y = np.eye(int(labels.max()) + 1)[labels]
    shift, level = inputs.mean(0), y.mean(0)
    x, y = inputs - shift, y - level
    wide = x.shape[1] > len(x)
    values, vectors = eigh(x @ x.T if wide else x.T @ x, driver="evd")
    keep = values > values[-1] * 1e-10
    values, vectors = values[keep], vectors[:, keep]
    left = vectors if wide else x @ vectors / np.sqrt(values)  # left singular vectors of x
    along = left.T @ y
    scale = float(values.sum()) / x.shape[1] if len(values) else 1.0
    best = (len(x) + 1, 0.0)
    for strength in STRENGTHS:
        alpha = strength * max(scale, 1e-30)
        shrink = values / (values + alpha)
        # what each example would be told without it; 1/n is the intercept's share
        own = (left**2) @ shrink + 1 / len(x)
        told = left @ (shrink[:, None] * along)
        out = y - (y - told) / np.maximum(1 - own, 1e-9)[:, None]
        wrong = int(((out + level).argmax(1) != labels).sum())
        if wrong < best[0]:
            best = (wrong, alpha)
    wrong, alpha = best
    right = x.T @ left / np.sqrt(values) if wide else vectors
    weights = right @ ((np.sqrt(values) / (values + alpha))[:, None] * along)
    gradient = x.T @ (x @ weights - y) + alpha * weights
    size = float(np.linalg.norm(x.T @ y))
    return Ridge(
        np.vstack([weights, level - shift @ weights]),
        alpha,
        float(np.linalg.norm(gradient)) / size if size else 0.0,
        wrong / len(x),
    )


def _features(inputs: torch.Tensor, like: torch.Tensor | None = None) -> np.ndarray:
    """One row of numbers per example; integers are counted by value, as those in `like`."""
    if inputs.is_floating_point():
        found: np.ndarray = np.nan_to_num(inputs.detach().flatten(1).double().cpu().numpy())
        return found
    known = inputs if like is None else like
    size = min(int(known.max()) + 1, VOCABULARY)
    return counted(inputs.long().clamp(0, size - 1), size)


def _cost(subject: Subject, fit: int = 5000, examples: int = 10_000) -> int:  # noqa: ARG001
    return forward(min(len(subject.parts[subject.judged]), examples))


CHECK = Check(
    baseline,
    family="generalization",
    question="Is it better than a convex problem with a closed solution?",
    cost=_cost,
    settings={
        "quick": {"fit": 2000, "examples": 1000},
        "standard": {},
        "deep": {"fit": 10_000, "examples": 100_000},
    },
)
