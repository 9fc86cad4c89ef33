"""How the size of a signal changes from layer to layer, robustly, with its interval."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TypeAlias, final

import numpy as np

Numbers: TypeAlias = np.ndarray
_RESAMPLES = 200
_PAIRS = 4000  # of layers, for the median of slopes


@final
@dataclass(frozen=True, slots=True)
class Trend:
    r"""A trend over the layers of a chain.

    Args:
        step: Factor of the size per layer, in the direction in which the numbers were given.
        total: Factor over the whole chain, at least 1, whichever way it goes: the larger of
            step^(layers - 1) and the largest ratio of the medians before and after a layer, with
            two layers on each side; the ratio at one step where that step is half of all.
        interval: For `total`, by resampling the examples; the weights are as they are.
        band: What `total` may be by chance where weights are independent draws of the critical
            variance: beyond, the trend is one.
        sizes: Root mean square over the examples, per layer.
        low: Lower ends of intervals for `sizes`.
        high: Upper ends.
        jump: The layer at which half or more of the change is; None where it is gradual.
    """

    step: float
    total: float
    interval: tuple[float, float]
    band: float
    sizes: Numbers
    low: Numbers
    high: Numbers
    jump: int | None


def trend(
    powers: Numbers,
    widths: Sequence[int],
    generator: np.random.Generator,
    *,
    level: float = 0.99,
    tests: int = 1,
) -> Trend:
    r"""The trend of sizes along a chain of layers.

    The slope is the median of the slopes between all pairs of layers (Theil and Sen), of the log
    of the root mean square, so that one odd layer in three cannot make a trend.

    With critical weights, the log of a power is a sum of one independent term per layer, of
    variance about $5/n$ at width $n$ under ReLU (2/n where nothing is cut off): the band is the
    exponential of half of $z \sqrt{\sum 5/n_l} + \sum 5/(2 n_l)$.

    Args:
        powers: Mean squares, (layers, examples), positive.
        widths: Units per layer.
        generator: Of the resampling.
        level: Of the intervals and the band.
        tests: How many trends are looked at; the band is Bonferroni's.

    References:
        Sen, Estimates of the regression coefficient based on Kendall's tau, 1968; Hanin, Which
        neural net architectures give rise to exploding and vanishing gradients?, 2018,
        arXiv:1801.03744.
    """
    examples = powers.shape[1]
    weights = generator.multinomial(examples, np.full(examples, 1 / examples), size=_RESAMPLES)
    with np.errstate(divide="ignore"):
        resampled = 0.5 * np.log((weights / examples) @ powers.T)
    logs = 0.5 * np.log(powers.mean(1))[None]
    slope, size, jumps = _totals(logs)
    _, drawn, _ = _totals(np.where(np.isfinite(resampled), resampled, logs))
    tail = (1 - level) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    ends = np.exp(np.quantile(resampled, [tail, 1 - tail], axis=0))
    spread = sum(5 / max(1, n) for n in widths)
    z = NormalDist().inv_cdf(1 - tail / tests)
    return Trend(
        step=math.exp(float(slope[0])),
        total=_exp(float(size[0])),
        interval=(_exp(min(low, size[0])), _exp(max(high, size[0]))),
        band=_exp(0.5 * (z * math.sqrt(spread) + spread / 2)),
        sizes=np.exp(logs[0]),
        low=ends[0],
        high=ends[1],
        jump=None if jumps[0] < 0 else int(jumps[0]),
    )


def _totals(logs: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """Slope, log of the total factor, and the jump that gave it (-1 for the slope), per row."""
    layers = logs.shape[1]
    i, j = np.triu_indices(layers, 1)
    every = max(1, len(i) // _PAIRS)
    i, j = i[::every], j[::every]
    slope = np.median((logs[:, j] - logs[:, i]) / (j - i), axis=1)
    size = np.abs(slope) * (layers - 1)
    where = np.full(len(logs), -1)
    if layers < 4:
        return slope, size, where
    inner = range(2, layers - 1)
    jumps = np.stack(
        [np.abs(np.median(logs[:, k:], axis=1) - np.median(logs[:, :k], axis=1)) for k in inner]
    )
    size = np.maximum(size, jumps.max(0))
    steps = np.abs(np.diff(logs, axis=1))[:, 1:-1]
    steepest = steps.argmax(1)
    sudden = steps.max(1) > size / 2
    where = np.where(sudden, steepest + 2, where)
    size = np.where(sudden, jumps[steepest, np.arange(len(logs))], size)
    return slope, size, where


def _exp(x: float) -> float:
    return math.exp(x) if x < 700 else math.inf
