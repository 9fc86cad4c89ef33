"""The best classifier from a single number of the input, in closed form: by counting in bins."""

from dataclasses import dataclass
from typing import final

import numpy as np

BINS = 64


@final
@dataclass(frozen=True, slots=True)
class Single:
    """The best classifier from one feature, for one question.

    Args:
        feature: Its number among the flattened inputs.
        asked: "the class", or the name of the class that is told from the others.
        wrong: Its errors on the judged examples.
        guessed: Errors there of the best guess without any input.
        examples: How many were judged.
    """

    feature: int
    asked: str
    wrong: int
    guessed: int
    examples: int

    @property
    def skill(self) -> float:
        """The share of the errors of guessing that it removes."""
        return 1 - self.wrong / self.guessed


def binned(column: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of the bins of two columns, cut at quantiles of the first."""
    values = np.unique(column)
    if len(values) > BINS:
        values = np.unique(np.quantile(column, np.linspace(0, 1, BINS + 1)[1:-1]))
    edges = (values[1:] + values[:-1]) / 2
    return np.searchsorted(edges, column), np.searchsorted(edges, other)


def singles(
    x: np.ndarray, y: np.ndarray, z: np.ndarray, t: np.ndarray, classes: tuple[str, ...]
) -> list[Single]:
    """For each question the feature with the fewest errors in training, judged on the rest.

    Args:
        x: Training inputs, shape (n, features).
        y: Their class numbers.
        z: Judged inputs.
        t: Their class numbers.
        classes: Names.

    Returns the class as a whole first; questions on which guessing makes no error are left out.
    """
    count = max(len(classes), int(y.max()) + 1, int(t.max()) + 1)
    totals = np.bincount(y, minlength=count)
    fewest = np.full(count + 1, len(y) + 1)
    chosen = np.zeros(count + 1, dtype=int)
    for feature in range(x.shape[1]):
        bins, _ = binned(x[:, feature], x[:1, feature])
        table = np.bincount(bins * count + y, minlength=(bins.max() + 1) * count)
        table = table.reshape(-1, count)
        sizes = table.sum(1, keepdims=True)
        wrong = np.append(np.minimum(table, sizes - table).sum(0), len(y) - table.max(1).sum())
        better = wrong < fewest
        fewest[better], chosen[better] = wrong[better], feature
    found = []
    for question in range(count + 1):
        bins, theirs = binned(x[:, chosen[question]], z[:, chosen[question]])
        if question == count:
            asked, mine, right = "the class", y, t
            guess = int(totals.argmax())
        else:
            asked = f"whether it is {classes[question] if question < len(classes) else question}"
            mine, right = (y == question).astype(int), (t == question).astype(int)
            guess = int(2 * totals[question] > len(y))
        table = np.bincount(bins * count + mine, minlength=(bins.max() + 1) * count)
        said = table.reshape(-1, count).argmax(1)
        told = said[np.minimum(theirs, len(said) - 1)]
        guessed = int((right != guess).sum())
        if guessed:
            errors = int((told != right).sum())
            found.append(Single(int(chosen[question]), asked, errors, guessed, len(t)))
    return found[::-1]


def recount(
    column: np.ndarray,
    labels: np.ndarray,
    other: np.ndarray,
    right: np.ndarray,
    best: Single,
    classes: tuple[str, ...],
) -> str:
    """The errors of the best feature again, example by example, from a dictionary."""
    name = best.asked.removeprefix("whether it is ")
    if best.asked != "the class":
        index = classes.index(name) if name in classes else int(name)
        labels, right = labels == index, right == index
    bins, theirs = binned(column, other)
    seen: dict[int, dict[int, int]] = {}
    for place, label in zip(bins.tolist(), labels.tolist(), strict=True):
        counts = seen.setdefault(place, {})
        counts[int(label)] = counts.get(int(label), 0) + 1
    top = {place: min(c, key=lambda k: (-c[k], k)) for place, c in seen.items()}
    wrong = sum(
        top.get(place, 0) != int(label)
        for place, label in zip(theirs.tolist(), right.tolist(), strict=True)
    )
    return (
        f"errors of this feature counted again: {'equal' if wrong == best.wrong else 'DIFFERENT'}"
    )
