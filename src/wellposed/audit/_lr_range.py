"""Was the step size too small or too large, by the log?"""

import math

import numpy as np
from scipy.special import stdtrit

from wellposed.audit._check import Check
from wellposed.audit._subject import Subject
from wellposed.audit._training_log import Column, TrainingLog, block_means, guess_loss, training_log
from wellposed.runs import Curves, Finding, Mark, Series, Threshold, Verdict
from wellposed.stats import welch_difference

LEVEL = 0.95
_RECORDS, _BLOCKS = 12, 20
_FLOOR, _HARDLY, _AS_FAST = 0.05, 0.05, 0.5
_MANY, _NORMAL = 10, 0.6744897501960817  # the latter: median of a normal's absolute value


def lr_range(subject: Subject) -> Finding:
    r"""Judge the step size by how the objective fell per unit of gradient time.

    With $t_k = \sum_{i \le k} \eta_i$, the time of the gradient flow, three symptoms are looked for
    in this order.

    - *Too large*: the objective peaks above 2 ln C (a classifier with cross-entropy) or, for
      others, the mean of a twentieth of the log is above twice the first one.
    - *Hardly moved*: a classifier's objective falls by less than 5 % from the first to the last
      third of the records and stays above ln C / 2.
    - *Too small or too short*: the slope dJ/dt over the last third is still half of that over the
      first third; along a flow that gets anywhere it decays. J is the objective or, if there are 12
      evaluations, the validation loss, whichever decides more sharply.

    Slopes have t-intervals whose noise comes from second differences; levels are divided by
    Bonferroni's inequality, so that the ratio of two slopes has 95 %. All limits are conventions:
    this warns and never fails. An end below 5 % of the first value passes.

    Args:
        subject: With a log of at least 12 records with objective or loss, better with lr.

    Cost: none in gradient evaluations; one pass over the log.

    Raises `ArgumentError` if there is no log, or it is too short, or not finite.

    References:
        Smith, Cyclical learning rates for training neural networks, 2017, arXiv:1506.01186.
    """
    found = training_log(subject, "lr-range")
    column = found.column("objective", "lr-range", _RECORDS)
    rates = _rates(found, column)
    verdict, said, value, interval, threshold, remedy = _judged(subject, found, rates)
    lr = f"lr {rates.min():.3g}" if rates is not None else "lr not logged"
    if rates is not None and rates.max() > rates.min():
        lr = f"lr {rates.min():.3g} to {rates.max():.3g}"
    evidence = {"first value": float(column.value[0]), "last value": float(column.value[-1])}
    if rates is not None and rates.max() >= 3 * rates.min():
        evidence["lr where it fell fastest"] = _fastest(column, rates)
    return Finding(
        check="lr-range",
        verdict=verdict,
        statement=f"{said} ({lr}).",
        value=value,
        interval=interval,
        level=None if interval is None or interval[0] == interval[1] else LEVEL,
        threshold=threshold,
        evidence=evidence,
        verified=_again(column),
        remedy=remedy,
        figures=_figures(column, rates, guess_loss(subject)),
    )


Slowing = tuple[str, float | None, tuple[float, float] | None]
Judged = tuple[Verdict, str, float | None, tuple[float, float] | None, Threshold | None, str]


def _judged(subject: Subject, found: TrainingLog, rates: np.ndarray | None) -> Judged:
    """The first symptom that is seen, or none."""
    column = found.train["objective"]
    guess, third = guess_loss(subject), len(column) // 3
    levels, peak = block_means(column.value, _BLOCKS), float(column.value.max())
    limit = 2 * guess if guess is not None else 2 * abs(float(levels[0]))
    top = peak if guess is not None else float(levels.max())
    if top > limit > 0:
        source = "2 ln C, twice what guessing gives" if guess is not None else "twice its start"
        at = float(column.step[int(column.value.argmax())])
        return (
            Verdict.WARN,
            f"The objective rose to {top:.4g} near step {at:,.0f}, so the step size was too large",
            top,
            (top, top),
            Threshold(limit, "above", "convention", source),
            _try(rates, 0.1) + ", or a warm-up of the step size ([[schedule]])",
        )
    first, last = column.value[:third], column.value[-third:]
    start = abs(float(column.value[0])) or 1.0
    low, high = welch_difference(first, last, LEVEL)
    fell, ends = float(first.mean() - last.mean()) / start, (low / start, high / start)
    hardly = guess is not None and ends[1] < _HARDLY and float(last.mean()) > guess / 2
    if hardly:
        return (
            Verdict.WARN,
            f"The objective hardly moved: it fell by {100 * fell:.2g} % "
            f"[{100 * ends[0]:.2g}, {100 * ends[1]:.2g}] from the first third to the last",
            fell,
            ends,
            Threshold(_HARDLY, "below", "convention", "5 % of the first value"),
            _try(rates, 10) + "; if that does not help, look at the labels and the initialization",
        )
    said, value, interval = _slowing(found, column)
    if 0 <= float(last.mean()) < _FLOOR * start:
        said = f"The objective came down to {100 * float(last.mean()) / start:.2g} % of its start"
        return Verdict.PASS, said, None, None, None, ""
    if value is None or interval is None:
        return Verdict.UNKNOWN, said, None, None, None, ""
    threshold = Threshold(_AS_FAST, "above", "convention", "half of the slope at the beginning")
    verdict = threshold.judge(interval, Verdict.WARN)
    remedy = _try(rates, 3) + ", or more epochs" if verdict is Verdict.WARN else ""
    return verdict, said, value, interval, threshold, remedy


def _slowing(found: TrainingLog, column: Column) -> Slowing:
    """The slope of the last third over that of the first, of objective or validation loss.

    Both are looked at, at half the level each, and the one with the shorter interval is told.
    """
    series, loss = {"objective": column}, found.validation.get("loss")
    if loss is not None and len(loss) >= _RECORDS and np.isfinite(loss.value).all():
        series[f"{found.part} loss"] = loss
    tail = (1 - LEVEL) / (2 * len(series))
    best: Slowing = (
        "The log does not show the objective fall in its first third", None, None,
    )  # fmt: skip
    for name, seen in series.items():
        times, k = _times(seen, _rates(found, seen)), len(seen) // 3
        begin = falling(times[:k], seen.value[:k], 1 - tail)
        end = falling(times[-k:], seen.value[-k:], 1 - tail)
        if begin[1] <= 0:
            continue
        value, ends = _ratio(begin, end)
        if best[2] is None or ends[1] - ends[0] < best[2][1] - best[2][0]:
            said = (
                f"At the end the {name} fell {value:.2g} [{ends[0]:.2g}, {ends[1]:.2g}] times as "
                "fast per unit of step size as at the beginning"
            )
            best = said, value, ends
    return best


def falling(x: np.ndarray, y: np.ndarray, level: float) -> tuple[float, float, float]:
    """How fast y falls: minus the slope of least squares, with the ends of its interval.

    Noise is taken from second differences, which a curved fall hardly changes; their median where
    there are ten or more. Student's t has (n - 2)/2 degrees of freedom, as they overlap.

    Args:
        x: At least four abscissas, ascending.
        y: As many finite ordinates.
        level: Confidence, in (0, 1).
    """
    at = x - x.mean()
    spread = float((at**2).sum())
    value = -float((at * (y - y.mean())).sum()) / spread
    bends = np.abs(np.diff(y, 2))
    noise = float(np.sqrt(np.mean(bends**2) / 6))
    if len(y) >= _MANY:
        noise = float(np.median(bends)) / (_NORMAL * math.sqrt(6))
    half = float(stdtrit(max(2.0, (len(y) - 2) / 2), (1 + level) / 2)) * noise / math.sqrt(spread)
    return value, value - half, value + half


Fall = tuple[float, float, float]


def _ratio(begin: Fall, end: Fall) -> tuple[float, tuple[float, float]]:
    """The ratio of two falls, and ends that hold if both intervals do; `begin` is above 0."""
    low = end[1] / (begin[2] if end[1] > 0 else begin[1])
    high = end[2] / (begin[1] if end[2] > 0 else begin[2])
    return end[0] / begin[0], (low, high)


def _rates(found: TrainingLog, column: Column) -> np.ndarray | None:
    """The step size at every record of the objective; None if it was not logged."""
    lr = found.train.get("lr")
    if lr is None or not np.isfinite(lr.value).all() or lr.value.min() < 0 or lr.value.max() == 0:
        return None
    return np.asarray(np.interp(column.step, lr.step, lr.value))


def _times(column: Column, rates: np.ndarray | None) -> np.ndarray:
    """Step sizes summed over the steps; without them, the steps. Ascending, from 0 to 1."""
    passed = np.diff(column.step, prepend=min(0.0, float(column.step[0])))
    times = np.cumsum(passed * (1.0 if rates is None else rates))
    if np.ptp(times) == 0:
        return np.linspace(0, 1, len(column))
    tiny = np.linspace(0, 1e-9, len(column))  # a step size of 0 must not stop the clock for good
    return np.asarray((times - times[0]) / np.ptp(times) + tiny)


def _fastest(column: Column, rates: np.ndarray) -> float:
    """The step size at which the objective, averaged over a twentieth, fell fastest in a step."""
    levels, steps = block_means(column.value, _BLOCKS), block_means(column.step, _BLOCKS)
    falls = -np.diff(levels) / np.maximum(np.diff(steps), 1e-300)
    middle = block_means(rates, _BLOCKS)
    return float(np.sqrt(middle[:-1] * middle[1:])[int(falls.argmax())])


def _try(rates: np.ndarray | None, factor: float) -> str:
    if rates is None:
        return f"a step size {'10 times smaller' if factor < 1 else f'{factor:g} times larger'}"
    return f"[optimizer] lr = {rates.max() * factor:.3g} instead of {rates.max():.3g}"


def _again(column: Column) -> str:
    """The slope of the first third by another formula."""
    third = len(column) // 3
    x, y = column.step[:third] - column.step[0], column.value[:third]
    if np.ptp(x) == 0:
        return "nothing: all records are of one step"
    one = -falling(x, y, LEVEL)[0]
    other = float(np.linalg.lstsq(np.stack([x, np.ones(third)], 1), y)[0][0])
    scale = float(np.ptp(y)) / float(np.ptp(x))
    agrees = math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-9 * scale)
    return f"slope from the normal equations and from QR: {'equal' if agrees else 'DIFFERENT'}"


def _figures(column: Column, rates: np.ndarray | None, guess: float | None) -> tuple[Curves, ...]:
    x, y = column.few()
    log = min(y) > 0 and max(y) > 20 * min(y)
    marks = () if guess is None else (Mark("y", guess, "ln C: guessing"),)
    drawn = [Curves("Objective", "step", "objective", (Series("", x, y),), marks, log_y=log)]
    if rates is not None and rates.max() >= 3 * rates.min():
        series = Series("", *Column(rates, column.value).few(), points=True)
        log_x = bool(rates.min() > 0)
        drawn.append(Curves("Objective over step size", "lr", "objective", (series,), marks,
                            log_x=log_x, log_y=log))  # fmt: skip
    return tuple(drawn)


CHECK = Check(
    lr_range,
    family="training",
    question="Was the step size too small or too large?",
    cost=lambda _: 0,
    settings={"quick": {}, "standard": {}, "deep": {}},
    weights=False,
)
