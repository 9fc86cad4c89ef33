"""What a calibration error looks like where nothing is wrong."""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from wellposed.errors import require
from wellposed.stats._calibration import Binning, Confidence, bin_numbers, require_pairs

_AT_ONCE = 2**21  # numbers drawn at a time: 16 MB


@final
@dataclass(frozen=True, slots=True)
class Null:
    """The distribution of a statistic where all is well, by draws.

    Args:
        values: The draws, in ascending order.
    """

    values: NDArray[np.float64]

    @property
    def mean(self) -> float:
        """Their mean."""
        return float(self.values.mean())

    def quantile(self, level: float) -> float:
        """What a share `level` of them does not exceed."""
        return float(np.quantile(self.values, level))

    def p_value(self, value: float) -> float:
        """The probability of a value as large where all is well; never below 1/(draws + 1).

        Counting the value itself among the draws makes the test exact.
        """
        return float(1 + (self.values >= value).sum()) / (1 + len(self.values))


def calibration_null(
    confidence: Confidence,
    *,
    bins: int = 15,
    binning: Binning = "equal mass",
    repeats: int = 1000,
    seed: int = 0,
) -> Null:
    r"""The calibration errors of a perfectly calibrated model on as many points.

    The outcome of every prediction is drawn anew, right with the probability that it was given,
    $a_i \sim \mathrm{Bernoulli}(c_i)$, and the error is computed again in the same bins.

    Args:
        confidence: Probability that each prediction was given, in [0, 1], shape (n,).
        bins: As for `calibration`.
        binning: As for `calibration`.
        repeats: Draws, at least 20.
        seed: Of the draws.

    Cost: n times `repeats` random numbers. Raises `ArgumentError` outside these ranges.

    References:
        Broecker and Smith, Increasing the reliability of reliability diagrams, 2007 (consistency
        resampling); Widmann, Lindsten and Zachariah, Calibration tests in multi-class
        classification, 2019, arXiv:1910.11385.
    """
    require(repeats >= 20, f"a null distribution needs at least 20 draws, got {repeats}; try 1000")
    c, _ = require_pairs(confidence, np.zeros_like(confidence))
    number = bin_numbers(c, bins=bins, binning=binning)
    order = np.argsort(number, kind="stable")
    c, starts = c[order], np.flatnonzero(np.diff(number[order], prepend=-1))
    promised = np.add.reduceat(c, starts)
    rng, single = np.random.default_rng(seed), c.astype(np.float32)
    values = []
    left = repeats
    while left:
        rows = min(left, max(1, _AT_ONCE // len(c)))
        right = rng.random((rows, len(c)), dtype=np.float32) < single
        hits = np.add.reduceat(right, starts, axis=1, dtype=np.int64)
        values.append(np.abs(promised - hits).sum(1) / len(c))
        left -= rows
    return Null(np.sort(np.concatenate(values)))
