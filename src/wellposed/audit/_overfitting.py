"""Did the network get worse on validation examples while training went on?"""

import math
from dataclasses import dataclass

import numpy as np

from wellposed.audit._check import Check
from wellposed.audit._subject import Subject
from wellposed.audit._training_log import Column, TrainingLog, slope, training_log
from wellposed.errors import ArgumentError
from wellposed.runs import Curves, Finding, Mark, Series, Threshold, Verdict
from wellposed.stats import newcombe, wilson

LEVEL = 0.95
_EVALUATIONS, _AFTER = 4, 5
RISE, _WORSE = 0.1, 0.05
Interval = tuple[float, float]
Rise = tuple[float, Interval | None, float | None]


def overfitting(subject: Subject) -> Finding:
    r"""Look for the evaluation after which the validation loss, or error, went up again.

    *Loss*: with $L_*$ the lowest of K validation losses, taken as it is, the line of least squares
    through those after it gives the rise to the end, $(\hat L_\text{end} - L_*)/L_*$, with its
    t-interval there at level 99 %; a rise wholly above 10 % warns (a convention). *Error*: the
    difference of the last and the lowest error on the same n examples has Newcombe's interval, at
    1 - 5 %/(K - 1) since the lowest is chosen among K; it is too wide, as both are counted on the
    same examples. An interval wholly above 0 warns.

    Args:
        subject: With a log of at least 4 evaluations on a part kept apart.

    Cost: none in gradient evaluations; one pass over the log.

    Raises `ArgumentError` if there is no log, or it has too few evaluations.

    References:
        Newcombe, Interval estimation for the difference between independent proportions, 1998;
        Prechelt, Early stopping - but when?, 1998.
    """
    found = training_log(subject, "overfitting")
    loss, error = (_usable(found, name) for name in ("loss", "error"))
    kept = loss if loss is not None else error
    if kept is None:
        n = max((len(c) for c in found.validation.values()), default=0)
        raise ArgumentError(
            f"overfitting needs at least {_EVALUATIONS} finite evaluations on examples kept apart, "
            f"and the log has {n}; hold out a validation part: [data] validation = 0.1"
        )
    worse = None if error is None else _worse(found, error)
    rise = None if loss is None else _rise(loss)
    if error is not None and worse is not None and worse[1][0] > 0:
        seen = _by_error(found.part, worse, _onset(error), 0.0)
    elif rise is not None:
        seen = _by_loss(found.part, rise, _onset(kept))
    elif worse is not None:
        seen = _by_error(found.part, worse, _onset(kept), _WORSE)
    else:
        said = f"The {found.part} error is on record without the number of examples, n"
        seen = _Seen(Verdict.UNKNOWN, said, None, None, None, None, _onset(kept))
    warns, onset = seen.verdict is Verdict.WARN, seen.onset
    return Finding(
        check="overfitting",
        verdict=seen.verdict,
        statement=f"{seen.said}.",
        value=seen.value,
        interval=seen.interval,
        level=seen.level,
        unit="share",
        threshold=seen.threshold,
        where=f"from step {onset:,.0f}" if warns else "",
        evidence={"evaluations": len(kept), "part": found.part, "lowest at step": onset},
        verified=_again(kept, onset),
        remedy=f"stop early, at step {onset:,.0f} ([train] patience), or more data, augmentation "
        "([[augment]]), weight decay"
        if warns
        else "",
        figures=_figures(found, onset),
    )


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the finding is going to say."""

    verdict: Verdict
    said: str
    value: float | None
    interval: Interval | None
    level: float | None
    threshold: Threshold | None
    onset: float


def _by_error(part: str, worse: tuple[float, Interval, float], onset: float, limit: float) -> _Seen:
    """The error decides: at a limit of 0 as a test, at another as a convention."""
    value, interval, level = worse
    threshold = Threshold(limit, "above", "convention", "five points of error")
    if limit == 0:
        threshold = Threshold(0, "above", "null distribution", "an error that stays as it is")
    said = (
        f"The {part} error ends {100 * value:.2g} points [{100 * interval[0]:.2g}, "
        f"{100 * interval[1]:.2g}] above its lowest, which is at step {onset:,.0f}"
    )
    verdict = threshold.judge(interval, Verdict.WARN)
    return _Seen(verdict, said, value, interval, level, threshold, onset)


def _by_loss(part: str, rise: Rise, onset: float) -> _Seen:
    """The loss decides; without an interval it never warns."""
    value, interval, level = rise
    threshold = Threshold(RISE, "above", "convention", "a tenth of the lowest validation loss")
    if interval is None:
        verdict = Verdict.UNKNOWN if value > RISE else Verdict.PASS
        said, level = "(too few evaluations for an interval)", None
    else:
        verdict = threshold.judge(interval, Verdict.WARN)
        said = f"[{100 * interval[0]:.4g}, {100 * interval[1]:.4g}]"
    said = f"The {part} loss ends {100 * value:.4g} % {said} above its lowest, at step {onset:,.0f}"
    if value == 0 and level is not None:
        said = f"The {part} loss is lowest at its last evaluation, step {onset:,.0f}"
    return _Seen(verdict, said, value, interval, level, threshold, onset)


def _usable(found: TrainingLog, name: str) -> Column | None:
    """A column of evaluations, if there are enough of them and all are finite."""
    column = found.validation.get(name)
    if column is None or len(column) < _EVALUATIONS or not np.isfinite(column.value).all():
        return None
    return column


def _onset(column: Column) -> float:
    """The step of the lowest value, the first of several."""
    return float(column.step[int(column.value.argmin())])


def _rise(loss: Column) -> Rise | None:
    """How far the loss is above its lowest at the end, as a share, with interval and level.

    There is no interval where fewer than five evaluations come after the lowest.
    """
    best = int(loss.value.argmin())
    after, least = loss.value[best + 1 :], float(loss.value[best])
    if least <= 0:
        return None
    if not len(after):
        return 0.0, (0.0, 0.0), LEVEL
    if len(after) < _AFTER:
        return float(after.max()) / least - 1, None, LEVEL
    x = np.arange(1.0, len(after) + 1)
    level = 1 - (1 - LEVEL) / 5
    value, _, high = slope(x, after, level)
    reach = float(x[-1] - x.mean())
    end = float(after.mean()) + value * reach
    half = (high - value) * math.sqrt(reach**2 + float(x.var()))  # of the line at its end
    return end / least - 1, ((end - half) / least - 1, (end + half) / least - 1), level


def _worse(found: TrainingLog, error: Column) -> tuple[float, Interval, float] | None:
    """The last error less the lowest, with Newcombe's interval and its level."""
    sizes = found.validation.get("n")
    if sizes is None or len(sizes) != len(error):
        return None
    best, last = int(error.value.argmin()), len(error) - 1
    counts = []
    for k in (last, best):
        n, share = sizes.value[k], error.value[k]
        if not (1 <= n < 1e12 and 0 <= share <= 1):
            return None
        counts.append((round(share * n), round(n)))
    level = 1 - (1 - LEVEL) / (len(error) - 1)
    value = counts[0][0] / counts[0][1] - counts[1][0] / counts[1][1]
    return value, newcombe(counts[0], counts[1], level), level


def _again(column: Column, onset: float) -> str:
    least = min(zip(column.value.tolist(), column.step.tolist(), strict=True))
    return f"lowest evaluation found by sorting: {'equal' if least[1] == onset else 'DIFFERENT'}"


def _figures(found: TrainingLog, onset: float) -> tuple[Curves, ...]:
    marks, drawn = (Mark("x", onset, "lowest"),), []
    loss, error = found.validation.get("loss"), found.validation.get("error")
    if loss is not None:
        lines = [Series(found.part, *loss.few())]
        if "objective" in found.train:
            lines.insert(0, Series("train", *found.train["objective"].few()))
        drawn.append(Curves("Loss", "step", "mean loss", tuple(lines), marks, log_y=_log(lines)))
    if error is not None:
        sizes, low, high = found.validation.get("n"), None, None
        x, y = error.few()
        if sizes is not None and len(sizes) == len(error) == len(x):
            pairs = zip(error.value, sizes.value, strict=True)
            ends = [wilson(round(e * n), round(n), LEVEL) if n >= 1 and 0 <= e <= 1 else
                    (math.nan, math.nan) for e, n in pairs]  # fmt: skip
            low, high = tuple(a for a, _ in ends), tuple(b for _, b in ends)
        drawn.append(
            Curves("Error", "step", "error", (Series(found.part, x, y, low, high),), marks,
                   percent=True, note="Wilson intervals at 95 %." if low else "")
        )  # fmt: skip
    return tuple(drawn)


def _log(lines: list[Series]) -> bool:
    values = [v for line in lines for v in line.y if math.isfinite(v)]
    return bool(values) and min(values) > 0 and max(values) > 20 * min(values)


CHECK = Check(
    overfitting,
    family="training",
    question="Did it get worse on validation examples while training went on?",
    cost=lambda _: 0,
    settings={"quick": {}, "standard": {}, "deep": {}},
    weights=False,
)
