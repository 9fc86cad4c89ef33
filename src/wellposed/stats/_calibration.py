"""How far confidences are from the shares that they promise: expected calibration error."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias, final

import numpy as np
from jaxtyping import Float, Shaped
from numpy.typing import NDArray
from scipy.special import ndtri

from wellposed.errors import require
from wellposed.stats._base import Interval, require_level

Binning: TypeAlias = Literal["equal mass", "equal width"]
Confidence: TypeAlias = Float[np.ndarray, " n"]
Correct: TypeAlias = Shaped[np.ndarray, " n"]

_DRAWS = 4000  # of the noise of the lower end; its quantile is then good to about 1 %
_SPARE = 0.1  # the share of the lower tail that pays for knowing signs


@final
@dataclass(frozen=True, slots=True)
class Calibration:
    r"""Confidence against frequency, bin by bin.

    Args:
        counts: $n_b$, examples per bin; bins without any are left out.
        confidence: $\bar c_b$, mean confidence per bin.
        accuracy: $\bar a_b$, share that is right per bin.
        spread: Standard deviation of $c_i - a_i$ within each bin (nan for a single example).
        binning: "equal mass" or "equal width".
        asked: How many bins were asked for.
    """

    counts: NDArray[np.int64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    spread: NDArray[np.float64]
    binning: Binning
    asked: int

    @property
    def weights(self) -> NDArray[np.float64]:
        """The share of examples in each bin."""
        return np.asarray(self.counts / self.counts.sum(), dtype=np.float64)

    @property
    def error(self) -> float:
        r"""$\sum_b \frac{n_b}{n} |\bar c_b - \bar a_b|$, the expected calibration error."""
        return float((self.weights * np.abs(self.confidence - self.accuracy)).sum())

    @property
    def greatest(self) -> float:
        """The greatest gap of a bin: the maximal calibration error."""
        return float(np.abs(self.confidence - self.accuracy).max())

    @property
    def overconfidence(self) -> float:
        """Mean confidence minus accuracy: above 0 where it promises too much."""
        return float((self.weights * (self.confidence - self.accuracy)).sum())

    @property
    def squared(self) -> float:
        r"""The squared calibration error without its bias; below 0 at times, as it must be.

        $$\sum_b \frac{n_b}{n} \Big[(\bar c_b - \bar a_b)^2 - \frac{s_b^2}{n_b}\Big]$$

        with $s_b^2$ the variance of $c_i - a_i$ within the bin. A bin with one example has no
        variance and is left out.

        References:
            Kumar, Liang and Ma, Verified uncertainty calibration, 2019, arXiv:1909.10155, with
            the variance of the difference in place of that of the labels.
        """
        known = self.counts > 1
        gap = (self.confidence - self.accuracy)[known]
        excess = gap**2 - self.spread[known] ** 2 / self.counts[known]
        return float((self.weights[known] * excess).sum())

    def interval(self, level: float = 0.95, *, seed: int = 0) -> Interval:
        r"""An interval for the calibration error of these bins on endless data.

        With $d_b = w_b (\bar c_b - \bar a_b)$ and its noise $e_b \sim N(0, \sigma_b^2)$ the error
        is $\|d\|_1$ and what was measured $\|d + e\|_1$. Since the norm is convex, it is at least
        $\|d\|_1 + \sum_b \operatorname{sign}(d_b)\, e_b$, whose noise has the variance
        $\sum_b \sigma_b^2$ whatever the signs: this gives the upper end. It is at most
        $\|d\|_1 + \sum_b |e_b|$, or $\operatorname{sign}(d_b)\, e_b$ for the bins whose sign is
        beyond doubt: this gives the lower end. The measured value itself is too large on average,
        which a bootstrap makes worse; this interval is honest about it, and covers at least at its
        level where bins hold enough examples for the normal approximation (about 20).

        Args:
            level: Confidence, in (0, 1).
            seed: Of the draws behind the lower end.

        Cost: 4,000 normal numbers per bin, drawn once per seed.
        """
        require_level(level)
        tail, value = (1 - level) / 2, self.error
        sigma = self.weights * self._noise() / np.sqrt(self.counts)
        high = value - float(ndtri(tail)) * float(np.sqrt((sigma**2).sum()))
        doubt = -float(ndtri(_SPARE * tail / (2 * len(sigma))))
        gap = np.abs(self.weights * (self.confidence - self.accuracy))
        known = gap > 2 * doubt * sigma
        noise = _draws(seed, len(sigma)) * sigma
        total = np.where(known, noise, np.abs(noise)).sum(1)
        low = value - float(np.quantile(total, 1 - (1 - _SPARE) * tail))
        return max(0.0, low), min(1.0, high)

    def _noise(self) -> NDArray[np.float64]:
        """Standard deviation of c - a per bin, no less than one more wrong example would show."""
        spread = np.where(self.counts > 1, self.spread, 0.5)
        share = (self.accuracy * self.counts + 1) / (self.counts + 2)
        return np.asarray(np.maximum(spread, np.sqrt(share * (1 - share))), dtype=np.float64)


@lru_cache(maxsize=8)
def _draws(seed: int, bins: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).standard_normal((_DRAWS, bins))


def calibration(
    confidence: Confidence, correct: Correct, *, bins: int = 15, binning: Binning = "equal mass"
) -> Calibration:
    """Sort predictions into bins of confidence, and compare promise and outcome in each.

    Bins of equal mass hold as many examples each (ties in confidence are kept together); of equal
    width, they are ((b - 1)/bins, b/bins], where 0 belongs to the first.

    Args:
        confidence: Probability that each prediction was given, in [0, 1], shape (n,).
        correct: Whether it was right: booleans, or 0 and 1; for regression to a share, numbers in
            [0, 1].
        bins: At most this many, at least 1.
        binning: "equal mass" or "equal width".

    Raises `ArgumentError` outside these ranges.
    """
    c, a = require_pairs(confidence, correct)
    number = bin_numbers(c, bins=bins, binning=binning)
    counts = np.bincount(number)
    full = counts > 0
    n = counts[full].astype(np.float64)
    mean_c = np.bincount(number, c)[full] / n
    mean_a = np.bincount(number, a)[full] / n
    residual = (c - a - (np.bincount(number, c - a) / np.maximum(counts, 1))[number]) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.sqrt(np.bincount(number, residual)[full] / (n - 1))
    return Calibration(counts[full].astype(np.int64), mean_c, mean_a, spread, binning, bins)


def expected_calibration_error(
    confidence: Confidence, correct: Correct, *, bins: int = 15, binning: Binning = "equal mass"
) -> float:
    r"""$\sum_b \frac{n_b}{n} |\bar c_b - \bar a_b|$, over bins of confidence.

    It depends on the bins and is above 0 for a perfect model too: give it with `calibration_null`
    and `Calibration.interval`.

    Args:
        confidence: As for `calibration`.
        correct: As for `calibration`.
        bins: As for `calibration`.
        binning: As for `calibration`.

    Raises `ArgumentError` outside their ranges.

    References:
        Guo, Pleiss, Sun and Weinberger, On calibration of modern neural networks, 2017,
        arXiv:1706.04599; Naeini, Cooper and Hauskrecht, 2015.
    """
    return calibration(confidence, correct, bins=bins, binning=binning).error


def bin_numbers(confidence: Confidence, *, bins: int, binning: Binning) -> NDArray[np.int64]:
    """The number of the bin of each confidence; raises `ArgumentError` for no bin or binning."""
    require(bins >= 1, f"calibration needs at least one bin, got bins={bins}; try 15")
    known = binning in {"equal mass", "equal width"}
    require(known, f"bins are of 'equal mass' or 'equal width', got {binning!r}")
    if binning == "equal width":
        numbers = np.clip(np.ceil(confidence * bins) - 1, 0, bins - 1)
        return np.asarray(numbers, dtype=np.int64)
    ordered = np.sort(confidence)
    first = np.searchsorted(ordered, confidence, "left")
    last = np.searchsorted(ordered, confidence, "right") - 1
    middle = (first + last) // 2
    return np.asarray(middle * bins // len(confidence), dtype=np.int64)


def require_pairs(
    confidence: Confidence, correct: Correct
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both as float64; refuses what is no confidence with an outcome."""
    c, a = np.asarray(confidence, dtype=np.float64), np.asarray(correct, dtype=np.float64)
    require(
        c.ndim == 1 and c.shape == a.shape and len(c) > 0,
        f"calibration compares one confidence with one outcome per example, got shapes {c.shape} "
        f"and {a.shape}",
    )
    for name, values in (("confidences", c), ("outcomes", a)):
        inside = bool(((values >= 0) & (values <= 1)).all())
        require(inside, f"{name} are numbers in [0, 1], got {values.min():g} to {values.max():g}")
    return c, a
