"""Temperature scaling: one number that makes a classifier as confident as it should be."""

import math
from dataclasses import dataclass
from typing import TypeAlias, final

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray
from scipy.special import logsumexp, softmax

from wellposed.errors import ArgumentError, require

Logits: TypeAlias = Float[np.ndarray, "n classes"]
Labels: TypeAlias = Int[np.ndarray, " n"]

_STEPS = 100


@final
@dataclass(frozen=True, slots=True)
class Temperature:
    r"""The temperature that fits labels best.

    Args:
        value: T; inf where the logits say nothing about the labels, or the contrary.
        error: Standard error of T (sandwich); nan where T is inf.
        before: Mean negative log-likelihood at T = 1.
        after: Mean negative log-likelihood at T.
        steps: Newton steps.
        examples: n.
    """

    value: float
    error: float
    before: float
    after: float
    steps: int
    examples: int

    def scale(self, logits: Logits) -> NDArray[np.float64]:
        """Logits divided by T."""
        return np.asarray(logits, dtype=np.float64) / self.value


def temperature(logits: Logits, labels: Labels) -> Temperature:
    r"""The T that minimizes the negative log-likelihood of $\mathrm{softmax}(z / T)$.

    In $\beta = 1/T$ the mean of $\log \sum_k e^{\beta z_k} - \beta z_y$ is convex, with the
    derivatives $E_p[z] - z_y$ and $\mathrm{Var}_p(z)$, so that Newton's method with a bracket finds
    its only minimum, in about five steps. Accuracy stays as it is; only confidences change.

    Args:
        logits: z, finite, shape (n, classes) with at least 2 classes.
        labels: y, class numbers, shape (n,); not those that the model was trained on, and not those
            that it is judged by.

    Raises:
        ArgumentError: If every example is classified correctly: then T = 0 is best, and means
            nothing; or if the arguments are something else.

    References:
        Guo, Pleiss, Sun and Weinberger, On calibration of modern neural networks, 2017,
        arXiv:1706.04599.
    """
    z, y = require_logits(logits, labels)
    z = z - z.max(1, keepdims=True)
    own = z[np.arange(len(y)), y]
    if not (own < 0).any():
        raise ArgumentError(
            f"all {len(y)} examples are classified correctly, so the best temperature is 0; fit it "
            "on examples that are not in the training part, or on more of them"
        )
    before = float((logsumexp(z, 1) - own).mean())
    if (z.mean(1) - own).mean() >= 0:
        return Temperature(math.inf, math.nan, before, math.log(z.shape[1]), 0, len(y))
    low, high, beta, steps = 0.0, math.inf, 1.0, 0
    while steps < _STEPS:
        slope, curvature = _slopes(beta, z, own)
        mean = float(slope.mean())
        low, high = (beta, high) if mean < 0 else (low, beta)
        step = beta - mean / curvature if curvature > 0 else math.nan
        steps += 1
        if abs(step - beta) <= 1e-9 * beta:  # Newton: the next error is about its square
            beta = step
            break
        inside = low < step < high
        beta = step if inside else (2 * beta if high == math.inf else (low + high) / 2)
    slope, curvature = _slopes(beta, z, own)
    spread = float(np.sqrt((slope**2).mean() / len(y))) / curvature / beta**2
    after = float((logsumexp(beta * z, 1) - beta * own).mean())
    return Temperature(1 / beta, spread, before, after, steps, len(y))


def _slopes(
    beta: float, z: NDArray[np.float64], own: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """The derivative for each example, and the mean second derivative."""
    p = softmax(beta * z, axis=1)
    mean = (p * z).sum(1)
    return mean - own, float(((p * z * z).sum(1) - mean**2).mean())


def negative_log_likelihood(logits: Logits, labels: Labels) -> float:
    r"""Mean of $-\log p_y$ with $p = \mathrm{softmax}(z)$: a proper score, 0 at best.

    Args:
        logits: z, finite, shape (n, classes).
        labels: y, class numbers, shape (n,).

    Raises `ArgumentError` if the arguments are something else.
    """
    z, y = require_logits(logits, labels)
    return float((logsumexp(z, 1) - z[np.arange(len(y)), y]).mean())


def brier(logits: Logits, labels: Labels) -> float:
    r"""Mean of $\sum_k (p_k - [k = y])^2$ with $p = \mathrm{softmax}(z)$: a proper score in [0, 2].

    Args:
        logits: z, finite, shape (n, classes).
        labels: y, class numbers, shape (n,).

    Raises `ArgumentError` if the arguments are something else.

    References:
        Brier, Verification of forecasts expressed in terms of probability, 1950.
    """
    z, y = require_logits(logits, labels)
    p = softmax(z, axis=1)
    p[np.arange(len(y)), y] -= 1
    return float((p**2).sum(1).mean())


def require_logits(logits: Logits, labels: Labels) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Both as float64 and int64; refuses what are no logits with class numbers."""
    z, y = np.asarray(logits, dtype=np.float64), np.asarray(labels)
    require(
        z.ndim == 2 and y.shape == z.shape[:1] and z.shape[1] >= 2 and len(z) > 0,
        f"found logits of shape {z.shape} and labels of shape {y.shape}; there must be a row of at "
        "least 2 logits per label",
    )
    finite = int(np.isfinite(z).all(1).sum())
    require(finite == len(z), f"{len(z) - finite} of {len(z)} rows of logits are not finite")
    inside = bool((y >= 0).all() and (y < z.shape[1]).all())
    require(
        inside,
        f"labels are {y.min()} to {y.max()}, and there are {z.shape[1]} logits per example; class "
        f"numbers are 0 to {z.shape[1] - 1}",
    )
    return z, y.astype(np.int64)
