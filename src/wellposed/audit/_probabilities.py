"""What a classifier says about examples, as logits that are fit to be judged."""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from wellposed.audit._subject import Subject
from wellposed.errors import ArgumentError, require


@final
@dataclass(frozen=True)
class Said:
    """Logits and labels of a part.

    Args:
        logits: float64, finite, shape (n, classes); logarithms where the model gives probabilities.
        labels: int64, shape (n,).
        probabilities: Whether the model gives probabilities already.
    """

    logits: NDArray[np.float64]
    labels: NDArray[np.int64]
    probabilities: bool

    @property
    def chances(self) -> NDArray[np.float64]:
        """The softmax, shape (n, classes)."""
        return np.asarray(softmax(self.logits, axis=1), dtype=np.float64)

    @property
    def guess(self) -> NDArray[np.int64]:
        """The class with the largest logit, the first of equals."""
        return np.asarray(self.logits.argmax(1), dtype=np.int64)

    def scaled(self, temperature: float) -> "Said":
        """With logits divided by a temperature."""
        return Said(self.logits / temperature, self.labels, self.probabilities)

    def select(self, rows: NDArray[np.int64]) -> "Said":
        """These examples alone."""
        return Said(self.logits[rows], self.labels[rows], self.probabilities)


def said(subject: Subject, check: str, part: str, examples: int | None) -> Said:
    """The logits of at most that many examples of a part, in eval mode.

    Cost: one forward pass per example, unless they were asked for before.

    Raises:
        ArgumentError: If the subject is no classifier of at least two classes, an output is not
            finite, a label is no class number, or all labels are the same.
    """
    subject.require_classes(check)
    outputs, targets = subject.outputs(part, examples)
    z, y = outputs.double().numpy(), targets.numpy().astype(np.int64)
    require(
        z.ndim == 2 and y.ndim == 1 and z.shape[1] >= 2,
        f"{check} needs at least two logits and one label per example, and the model gives shape "
        f"{z.shape} for labels of shape {y.shape}; give a classifier of two classes two logits",
    )
    broken = len(z) - int(np.isfinite(z).all(1).sum())
    if broken:
        raise ArgumentError(
            f"the outputs of {broken} of {len(z)} {part} examples are not finite, so {check} has "
            "no probabilities to judge; look for the layer or the inputs where that begins"
        )
    inside = bool((y >= 0).all() and (y < z.shape[1]).all())
    require(
        inside,
        f"the {part} labels are {y.min()} to {y.max()} and the model gives {z.shape[1]} logits; "
        f"{check} needs class numbers 0 to {z.shape[1] - 1}",
    )
    require(
        len(np.unique(y)) > 1,
        f"all {len(y)} {part} examples are of class {y[0]}, on which {check} can say nothing; take "
        "examples of every class",
    )
    given = bool((z >= 0).all() and np.allclose(z.sum(1), 1, atol=1e-3))
    return Said(np.log(np.maximum(z, 1e-30)) if given else z, y, given)
