"""What ridge regression would say of each example if it had not seen it."""

from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray
from scipy.linalg import eigh

from wellposed.errors import require

STRENGTHS = tuple(float(s) for s in np.logspace(-4, 2, 13))
"""Of the penalty, relative to the mean square of the features."""


@final
@dataclass(frozen=True, slots=True)
class LeftOut:
    r"""Scores of every class for every example, from a fit to all others.

    Args:
        scores: Shape (n, classes).
        weights: Of the fit to all examples, shape (features + 1, classes); intercept last.
        penalty: $\alpha$, that with the least squared error in leave-one-out.
    """

    scores: NDArray[np.float64]
    weights: NDArray[np.float64]
    penalty: float

    def predict(self, features: Float[np.ndarray, "m features"]) -> NDArray[np.float64]:
        """Scores of other examples, shape (m, classes)."""
        found = np.asarray(features, dtype=np.float64) @ self.weights[:-1] + self.weights[-1]
        return np.asarray(found, dtype=np.float64)


def left_out(
    features: Float[np.ndarray, "n features"], labels: Int[np.ndarray, " n"], classes: int
) -> LeftOut:
    r"""Leave-one-out scores of ridge regression of the one-hot classes, in closed form.

    With the fit $\hat Y = HY$ the score without example i is
    $y_i - (y_i - \hat y_i) / (1 - H_{ii})$: exact, for the cost of one eigendecomposition. (The
    means that center features and labels are those of all examples, with their share in H.)

    Args:
        features: Finite numbers.
        labels: Class numbers below `classes`.
        classes: How many there are, at least 2.

    Raises `ArgumentError` if the arguments are something else.

    References:
        Hoerl and Kennard, Ridge regression, 1970; Allen, The relationship between variable
        selection and data augmentation, 1974 (PRESS).
    """
    x, y = np.asarray(features, dtype=np.float64), np.asarray(labels)
    n = len(x)
    require(
        x.ndim == 2 and y.shape == (n,) and n >= 3 and classes >= 2,
        f"leaving one out needs at least 3 rows of features with their labels, and at least 2 "
        f"classes, got shapes {x.shape} and {y.shape} and classes={classes}",
    )
    inside = bool(np.isfinite(x).all() and (y >= 0).all() and (y < classes).all())
    require(inside, f"features are finite and labels are 0 to {classes - 1}")
    shift, target = x.mean(0), np.eye(classes)[y]
    level = target.mean(0)
    x, target = x - shift, target - level
    wide = x.shape[1] > n
    values, vectors = eigh(x @ x.T if wide else x.T @ x, driver="evd")
    keep = values > max(values[-1], 0) * 1e-10
    values, vectors = values[keep], vectors[:, keep]
    left = vectors if wide else x @ vectors / np.sqrt(values)
    along, squared = left.T @ target, left**2
    scale = float(values.sum()) / x.shape[1] if len(values) else 1.0
    best: tuple[float, float, NDArray[np.float64]] | None = None
    for strength in STRENGTHS:
        shrink = values / (values + strength * scale)
        rest = 1 - squared @ shrink - 1 / n
        error = (target - left @ (shrink[:, None] * along)) / np.maximum(rest, 1e-9)[:, None]
        size = float((error**2).mean())
        if best is None or size < best[0]:
            best = (size, strength * scale, target - error + level)
    assert best is not None
    _, penalty, scores = best
    right = x.T @ left / np.sqrt(values) if wide else vectors
    weights = right @ ((np.sqrt(values) / (values + penalty))[:, None] * along)
    return LeftOut(scores, np.vstack([weights, level - shift @ weights]), penalty)
