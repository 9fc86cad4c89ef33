"""Are there gradients far larger than those around them?"""

import math
import statistics

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.ndimage import median_filter
from scipy.special import stdtrit

from wellposed.audit._check import Check
from wellposed.audit._subject import Subject
from wellposed.audit._training_log import Column, TrainingLog, training_log
from wellposed.runs import Curves, Finding, Listing, Series, Threshold, Verdict

ALPHA = 0.01
_RECORDS, _WINDOW, _BEFORE, _FACTOR = 20, 51, 3, 3.0
_MAD = 1.482602218505602  # of a normal distribution


def gradient_spikes(subject: Subject) -> Finding:
    r"""Compare each gradient norm with the median and the scatter of those around it.

    With $x = \log \|g\|$, its running median m (the larger of that of 25 records before and of 25
    after, so that a decay or a rise is no peak) and the running median absolute deviation s over 51
    (times 1.4826), a record is a spike if $(x - m)/s$ is above the quantile $1 - \alpha/n$ of
    Student's t with a fifth of 51 degrees of freedom, which makes up for a scatter estimated from
    few ($\alpha$ = 1 % for the whole log, by Bonferroni's inequality), and the norm is above three
    times the median. Of simulated logs of 20 to 2,000 independent log-normal norms, at most 0.4 %
    of those of a length had one.

    Args:
        subject: With a log of at least 20 records with gradient_norm.

    Cost: none in gradient evaluations; one pass over the log.

    Raises `ArgumentError` if there is no log, or it is too short, or not finite.
    """
    found = training_log(subject, "gradient-spikes")
    column = found.column("gradient_norm", "gradient-spikes", _RECORDS)
    middle, excess, bound = running_scores(column.value)
    factor = column.value / middle
    spikes = np.flatnonzero((excess > bound) & (factor > _FACTOR))
    worst = int(np.argmax(np.where(factor > _FACTOR, excess, -np.inf))) if spikes.size else 0
    count = len(spikes)
    said = f"None of {len(column):,} gradient norms stands out from those around it"
    if count:
        said = (
            f"{count} of {len(column):,} gradient norms stand out from those around them, the most "
            f"at step {column.step[worst]:,.0f}: {factor[worst]:.3g} times the running median"
        )
    usual = np.delete(column.value, spikes)
    clip = float(np.quantile(usual, 0.99)) if usual.size else float(np.median(column.value))
    return Finding(
        check="gradient-spikes",
        verdict=Verdict.WARN if count else Verdict.PASS,
        statement=f"{said}.",
        value=float(count),
        interval=(float(count), float(count)),
        unit="records",
        threshold=Threshold(
            0,
            "above",
            "null distribution",
            f"at a score above {bound:.3g}, reached in {100 * ALPHA:g} % of logs of independent "
            "log-normal norms",
        ),
        where=", ".join(f"step {column.step[k]:,.0f}" for k in spikes[:5]),
        evidence={"records": len(column), "bound": bound, "window": _WINDOW},
        verified=_again(column, middle),
        remedy=f"[train] clip_norm = {clip:.2g}, the 99 % quantile of the others; and look at the "
        "batches of these steps"
        if count
        else "",
        figures=_figures(column, middle, factor, excess, spikes, found),
    )


def running_scores(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Running medians, scores of the logarithms, and the score that none should reach.

    A median is the larger of that of the 25 before and that of the 25 after, so that neither a
    decay nor a rise is taken for a peak; the first three have nothing before them to be told from.

    Args:
        values: At least 20 numbers, none negative; zeros count as the least positive one.
    """
    positive = values[values > 0]
    least = float(positive.min()) if positive.size else 1.0
    x = np.log(np.maximum(values, least))
    width = min(_WINDOW, len(x) - 1 + len(x) % 2)
    rest = np.abs(x - median_filter(x, width, mode="mirror"))
    scatter = _MAD * median_filter(rest, width, mode="mirror")
    floor = max(1e-3, 0.1 * _MAD * float(np.median(rest)))
    middle = np.maximum(*_beside(x, width // 2))
    scores = (x - middle) / np.maximum(scatter, floor)
    scores[:_BEFORE] = 0.0
    return np.exp(middle), scores, float(stdtrit(width / 5, 1 - ALPHA / len(x)))


def _beside(x: np.ndarray, reach: int) -> tuple[np.ndarray, np.ndarray]:
    """Medians of up to so many values before each, and after each; alone at the ends."""
    sides = []
    for turned in (x, x[::-1]):
        padded = np.concatenate([np.full(reach, np.nan), turned])
        before = sliding_window_view(padded, reach)[: len(x)].copy()
        before[0, -1] = turned[0]
        sides.append(np.nanmedian(before, axis=1))
    return sides[0], sides[1][::-1]


def _again(column: Column, middle: np.ndarray) -> str:
    """The running median in the middle of the log, by sorting."""
    n = len(column)
    reach, at, values = min(_WINDOW, n - 1 + n % 2) // 2, n // 2, column.value.tolist()
    sides = values[max(0, at - reach) : at], values[at + 1 : at + 1 + reach]
    logs = [statistics.median(math.log(v) for v in side) if min(side) > 0 else math.nan
            for side in sides]  # fmt: skip
    if any(map(math.isnan, logs)):
        return "nothing: there are norms of 0"
    agrees = math.isclose(math.exp(max(logs)), float(middle[at]), rel_tol=1e-9)
    return f"running median by sorting: {'equal' if agrees else 'DIFFERENT'}"


def _figures(
    column: Column, middle: np.ndarray, factor: np.ndarray, excess: np.ndarray, spikes: np.ndarray,
    found: TrainingLog,
) -> tuple[Curves | Listing, ...]:  # fmt: skip
    lines = [
        Series("gradient norm", *column.few()),
        Series("running median", *Column(column.step, middle).few()),
    ]
    if spikes.size:
        at = Column(column.step[spikes], column.value[spikes])
        lines.append(Series("spikes", *at.few(100), points=True))
    log = bool(column.value.min() > 0)
    drawn = Curves("Gradient norm", "step", "Euclidean norm", tuple(lines), log_y=log)
    if not spikes.size:
        return (drawn,)
    loss = found.train.get("objective")
    rows = []
    for k in sorted(spikes[np.argsort(-excess[spikes])][:12]):
        near = "" if loss is None else f"{np.interp(column.step[k], loss.step, loss.value):.4g}"
        rows.append((f"{column.step[k]:,.0f}", f"{column.value[k]:.4g}", f"{factor[k]:.3g}",
                     f"{excess[k]:.3g}", near))  # fmt: skip
    header = ("step", "gradient norm", "times the median", "score", "objective")
    return drawn, Listing("Spikes", header, tuple(rows), right=1)


CHECK = Check(
    gradient_spikes,
    family="training",
    question="Are there gradients far larger than those around them?",
    cost=lambda _: 0,
    settings={"quick": {}, "standard": {}, "deep": {}},
    weights=False,
)
