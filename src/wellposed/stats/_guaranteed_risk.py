"""Which confidence is enough: a threshold above which the error is at most what was asked for."""

import math
from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.special import betaincinv

from wellposed.errors import require
from wellposed.stats._base import require_level
from wellposed.stats._calibration import Confidence, Correct
from wellposed.stats._risk_coverage import risk_coverage


@final
@dataclass(frozen=True, slots=True)
class Selection:
    """Answering only where confidence is above a threshold.

    Args:
        threshold: Answer where the confidence is above it; -inf answers everything.
        coverage: The share that was answered here.
        answered: How many that is.
        wrong: How many of them were wrong.
        bound: The error of the answers is at most this, simultaneously for all selections.
    """

    threshold: float
    coverage: float
    answered: int
    wrong: int
    bound: float


def guaranteed_selections(
    confidence: Confidence, wrong: Correct, *, level: float = 0.95, grid: int = 20
) -> tuple[Selection, ...]:
    r"""Upper bounds for the error of the most confident answers that hold all at once.

    For thresholds at `grid` ranks that are fixed before the data are seen. Given the threshold, the
    answers above it are independent draws, so that Clopper and Pearson's bound at
    $1 - \delta / \text{grid}$, with $\delta = 1 - \text{level}$, holds exactly for each, and
    with probability `level` for all of them. Whatever error is asked for afterwards, the largest
    selection with a bound below it keeps the promise: `guaranteed_selection`.

    Geifman and El-Yaniv search the ranks by bisection and pay for its $\log_2 n$ steps only; the
    ranks that a bisection visits depend on the data, which the proof has to pass over. The grid
    costs about as much ($\log_2 n = 13$ at n = 10,000) and needs no such step.

    Args:
        confidence: Any finite numbers, of examples that trained and chose nothing. Shape (n,).
        wrong: Whether the answer was wrong: booleans, or 0 and 1.
        level: Confidence that all bounds hold, in (0, 1).
        grid: Thresholds, at least 1: coverages 1/grid, 2/grid, ..., 1.

    Raises `ArgumentError` outside these ranges.

    References:
        Geifman and El-Yaniv, Selective classification for deep neural networks, 2017,
        arXiv:1705.08500; Clopper and Pearson, 1934.
    """
    require_level(level)
    require(grid >= 1, f"there must be at least one threshold, got grid={grid}; try 20")
    c, x = np.asarray(confidence, dtype=np.float64), np.asarray(wrong, dtype=np.float64)
    curve = risk_coverage(c, x)
    require(bool(np.isin(x, (0, 1)).all()), "an answer is wrong or not: 1 or 0, and some are not")
    n, delta = len(c), (1 - level) / grid
    found = []
    for step in range(1, grid + 1):
        rank = n * step // grid
        cut = -math.inf if step == grid else float(curve.confidence[rank])
        chosen = c > cut
        k, m = int(x[chosen].sum()), int(chosen.sum())
        bound = 1.0 if k == m else float(betaincinv(k + 1, m - k, 1 - delta))
        found.append(Selection(cut, m / n, m, k, bound))
    return tuple(found)


def guaranteed_selection(selections: tuple[Selection, ...], risk: float) -> Selection | None:
    """The selection that answers most of those whose error is at most `risk`; None if none is.

    Args:
        selections: From `guaranteed_selections`.
        risk: The largest error that is acceptable, in (0, 1).

    Raises `ArgumentError` outside this range.
    """
    require(0 < risk < 1, f"an acceptable error is between 0 and 1, got {risk:g}; try 0.01")
    kept = [s for s in selections if s.answered > 0 and s.bound <= risk]
    return max(kept, key=lambda s: s.coverage, default=None)
