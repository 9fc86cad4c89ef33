"""Risk against coverage: how wrong a classifier is if it may decline to answer."""

import math
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from wellposed.errors import require
from wellposed.stats._base import Interval, require_level
from wellposed.stats._calibration import Confidence, Correct
from wellposed.stats._calibration_null import Null


@final
@dataclass(frozen=True, slots=True)
class RiskCoverage:
    r"""The risk of the most confident answers, for each number of them.

    Args:
        confidence: In descending order.
        loss: In that order; ties in confidence share their mean, which is the expectation over
            the orders in which they could be rejected.
        risk: $r_i$, mean loss of the i most confident, for i = 1..n.
    """

    confidence: NDArray[np.float64]
    loss: NDArray[np.float64]
    risk: NDArray[np.float64]

    @property
    def coverage(self) -> NDArray[np.float64]:
        """The shares i/n that are answered."""
        return np.arange(1, len(self.risk) + 1) / len(self.risk)

    @property
    def area(self) -> float:
        r"""$\frac1n \sum_i r_i$, the area under the curve (AURC): less is better."""
        return float(self.risk.mean())

    @property
    def random(self) -> float:
        """The area that rejecting at random has on average: the risk of answering everything."""
        return float(self.loss.mean())

    @property
    def ideal(self) -> float:
        """The area if the losses were rejected from the greatest on: no order is better."""
        n = len(self.loss)
        return float((np.sort(self.loss).cumsum() / np.arange(1, n + 1)).mean())

    def interval(self, level: float = 0.95) -> Interval:
        r"""An interval for the area on fresh examples, $A\, e^{\pm z s / A}$.

        s is the standard error from the influence of each example: what its own loss adds, minus
        what it takes from the risks of all that come after it. On the logarithmic scale, since an
        area of few errors is skewed. Measured coverage at 95 %: 94 % with 50 errors or more, 93 %
        with 20, 91 % with 10 (a bootstrap: 91 % and 87 %).

        Args:
            level: Confidence, in (0, 1).

        Cost: a few passes over the losses; no draws. Raises `ArgumentError` outside this range.
        """
        require_level(level)
        n, area = len(self.loss), self.area
        if area <= 0:
            return area, area
        place = np.arange(1, n + 1)
        after = (self.loss / place)[::-1].cumsum()[::-1] - self.loss / place
        influence = self.loss * _weights(n) * n - after
        error = float(np.sqrt(((influence - influence.mean()) ** 2).sum())) / n
        ratio = math.exp(-float(ndtri((1 - level) / 2)) * error / area)
        return area / ratio, area * ratio

    def null(self, *, repeats: int = 1000, seed: int = 0) -> Null:
        """The areas of rejecting at random: the same losses in random orders.

        Args:
            repeats: Orders, at least 20.
            seed: Of the orders.

        Cost: n times `repeats` random numbers. Raises `ArgumentError` outside this range.
        """
        require(repeats >= 20, f"a null distribution needs at least 20 draws, got {repeats}")
        weight, rng = _weights(len(self.loss)), np.random.default_rng(seed)
        areas = [float(rng.permutation(self.loss) @ weight) for _ in range(repeats)]
        return Null(np.sort(np.array(areas)))

    @property
    def null_deviation(self) -> float:
        r"""The standard deviation of `null` in closed form: that of a sum drawn without return.

        The area is $\sum_i w_i \ell_i$ with $w_i = \frac1n \sum_{j \ge i} \frac1j$, so that its
        variance over all orders is $(n - 1)\, \mathrm{Var}(w)\, \mathrm{Var}(\ell)$, both with
        n - 1 in the denominator.
        """
        n = len(self.loss)
        if n < 2:
            return 0.0
        spread = _weights(n).var(ddof=1) * self.loss.var(ddof=1)
        return float(np.sqrt((n - 1) * spread))


def risk_coverage(confidence: Confidence, loss: Correct) -> RiskCoverage:
    """Order answers by confidence, and look at the risk of the first i of them.

    Args:
        confidence: Any finite numbers; only their order matters. Shape (n,).
        loss: What each answer costs: 1 where it is wrong and 0 elsewhere, or any finite numbers.

    Raises `ArgumentError` if they are something else.

    References:
        El-Yaniv and Wiener, On the foundations of noise-free selective classification, 2010;
        Geifman, Uziel and El-Yaniv, Bias-reduced uncertainty estimation for deep neural
        classifiers, 2019, arXiv:1805.08206 (AURC).
    """
    c, x = np.asarray(confidence, dtype=np.float64), np.asarray(loss, dtype=np.float64)
    require(
        c.ndim == 1 and c.shape == x.shape and len(c) > 0,
        f"risk against coverage needs one confidence and one loss per example, got shapes "
        f"{c.shape} and {x.shape}",
    )
    finite = bool(np.isfinite(c).all() and np.isfinite(x).all())
    require(finite, "risk against coverage needs finite confidences and losses, and some are not")
    values, group = np.unique(-c, return_inverse=True)
    size = np.bincount(group)
    shared = np.repeat(np.bincount(group, x) / size, size)
    return RiskCoverage(
        np.repeat(-values, size), shared, shared.cumsum() / np.arange(1, len(x) + 1)
    )


def _weights(n: int) -> NDArray[np.float64]:
    """What the loss at each place counts in the area."""
    return np.asarray((1 / np.arange(1, n + 1))[::-1].cumsum()[::-1] / n, dtype=np.float64)
