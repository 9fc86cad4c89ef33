"""Did training diverge, and where?"""

import math
import re

import numpy as np

from wellposed.audit._check import Check
from wellposed.audit._subject import Subject
from wellposed.audit._training_log import Column, TrainingLog, block_means, guess_loss, training_log
from wellposed.runs import Curves, Finding, Mark, Series, Threshold, Verdict
from wellposed.stats import mean_interval

LEVEL = 0.99
_LEAST, _BLOCKS = 10, 20
_WORDS = re.compile(r"\b(nan|inf|infinite|not finite|diverge\w*)\b", re.IGNORECASE)


def divergence(subject: Subject) -> Finding:
    r"""Look for numbers that are not finite, and for a loss that rose and stayed up.

    A nan or inf in objective, gradient norm or validation loss fails. Otherwise the share of what
    was won that is lost again,

    $$\frac{\bar J_\text{end} - \bar J_\text{lowest}}
      {\max(J_1 - \bar J_\text{lowest}, J_1 / 2)},$$

    is measured, with Student's interval of the mean over the last tenth of the records; the lowest
    of 20 stretches and the first record are taken as they are. A classifier that peaked above
    2 ln C and ends above ln C, the cross-entropy of equal probabilities, fails too.

    Args:
        subject: With a log of at least 10 records, or the failure that ended its training.

    Cost: none in gradient evaluations; one pass over the log.

    Raises `ArgumentError` if there is no log, or it is too short.
    """
    said = subject.failure.strip().splitlines()
    if said and _WORDS.search(said[0]):
        return _failed(subject, said)
    found = training_log(subject, "divergence")
    first, count, total = _not_finite(found)
    if first is not None:
        return _broken(found, first, count, total)
    column = found.column("objective", "divergence", _LEAST)
    levels = block_means(column.value, _BLOCKS)
    tail = column.value[-max(5, len(column) // 10) :]
    low, high = mean_interval(tail, LEVEL)
    start, least = float(column.value[0]), float(levels.min())
    scale = max(start - least, abs(start) / 2) or 1.0
    value = (float(tail.mean()) - least) / scale
    interval = ((low - least) / scale, (high - least) / scale)
    threshold = Threshold(0.5, "above", "convention", "half of what was won")
    guess, peak = guess_loss(subject), float(column.value.max())
    worse = guess is not None and peak > 2 * guess and low > guess
    end = f"the loss ends at {tail.mean():.4g} [{low:.4g}, {high:.4g}]"
    if guess is not None and worse:
        value, interval = float(tail.mean()), (low, high)
        threshold = Threshold(guess, "above", "arithmetic", "ln C, of equal probabilities")
        verdict = Verdict.FAIL
        statement = f"Training diverged: {end}, above {guess:.4g}, which guessing gives."
    else:
        verdict = threshold.judge(interval, Verdict.WARN)
        statement = f"All {total:,} logged numbers are finite, and {end}, lowest {least:.4g}."
    return Finding(
        check="divergence",
        verdict=verdict,
        statement=statement,
        value=value,
        interval=interval,
        level=LEVEL,
        unit="" if worse else "share",
        threshold=threshold,
        where="" if verdict is Verdict.PASS else f"from step {_rise(column):,.0f}",
        evidence={"start": start, "lowest": least, "peak": peak, "records": len(column)},
        verified=_recount(column, tail),
        remedy=_remedy(found) if verdict in {Verdict.FAIL, Verdict.WARN} else "",
        figures=(_figure(column, guess),),
    )


def _failed(subject: Subject, said: list[str]) -> Finding:
    """A training that said itself that it diverged."""
    at = re.search(r"\bstep (\d+)", said[0])
    words = re.sub(r"became -?(nan|inf)\b", "was not finite", said[0])
    hint = next((line.strip()[3:].strip() for line in said if line.strip().startswith("try")), "")
    logged = training_log(subject, "divergence") if subject.log else None
    again = "its log ends before that" if logged is None or _not_finite(logged)[0] is None else (
        "its log holds numbers that are not finite"
    )  # fmt: skip
    return Finding(
        check="divergence",
        verdict=Verdict.FAIL,
        statement=f"Training diverged: {words[:300].rstrip('.')}.",
        value=1.0,
        interval=(1.0, 1.0),
        unit="failures",
        threshold=Threshold(0, "above", "arithmetic", "what is not finite stays so"),
        where=f"step {at[1]}" if at else "",
        evidence={"message": said[:6]},
        verified=f"the message is that of the training loop; {again}",
        remedy=hint
        or (_remedy(logged) if logged else "a smaller step size, or [train] clip_norm = 1"),
    )


def _broken(found: TrainingLog, first: tuple[float, str], count: int, total: int) -> Finding:
    """A log with numbers that are not finite."""
    step, name = first
    column = found.train.get("objective")
    same = _recounted(found) == count
    return Finding(
        check="divergence",
        verdict=Verdict.FAIL,
        statement=f"Training diverged: {count:,} of {total:,} logged numbers are not finite, first "
        f"the {name} at step {step:,.0f}.",
        value=float(count),
        interval=(float(count), float(count)),
        unit="numbers",
        threshold=Threshold(0, "above", "arithmetic", "what is not finite stays so"),
        where=f"step {step:,.0f}",
        evidence={"numbers": total},
        verified=f"recounted one by one: {'equal' if same else 'DIFFERENT'}",
        remedy=_remedy(found),
        figures=() if column is None else (_figure(column, None),),
    )


def _parts(found: TrainingLog) -> list[tuple[str, Column]]:
    named = [(name.replace("_", " "), column) for name, column in found.train.items()]
    return named + [(f"{found.part} {name}", c) for name, c in found.validation.items()]


def _not_finite(found: TrainingLog) -> tuple[tuple[float, str] | None, int, int]:
    """The first step and name, and how many of how many numbers are not finite."""
    wrong, count, total = [], 0, 0
    for name, column in _parts(found):
        bad = ~np.isfinite(column.value)
        count, total = count + int(bad.sum()), total + len(column)
        if bad.any():
            wrong.append((float(column.step[bad][0]), name))
    return min(wrong, default=None), count, total


def _recounted(found: TrainingLog) -> int:
    return sum(
        not math.isfinite(value) for _, column in _parts(found) for value in column.value.tolist()
    )


def _recount(column: Column, tail: np.ndarray) -> str:
    exact = math.fsum(column.value.tolist()[-len(tail) :]) / len(tail)
    agrees = math.isclose(exact, float(tail.mean()), rel_tol=1e-9, abs_tol=1e-300)
    return f"mean of the end summed exactly: {'equal' if agrees else 'DIFFERENT'}"


def _rise(column: Column) -> float:
    """The step of the lowest stretch, after which the loss only rose."""
    levels = block_means(column.value, _BLOCKS)
    ends = block_means(column.step, _BLOCKS)
    return float(ends[int(levels.argmin())])


def _remedy(found: TrainingLog) -> str:
    """A smaller step, in numbers where the log has them."""
    lr, norm = found.train.get("lr"), found.train.get("gradient_norm")
    text = "a smaller step size"
    if lr is not None and np.isfinite(lr.value).any() and (top := np.nanmax(lr.value)) > 0:
        text = f"[optimizer] lr = {top / 10:.3g} instead of {top:.3g}, or a warm-up"
    good = norm.value[np.isfinite(norm.value)] if norm is not None else np.array([])
    limit = float(np.median(good)) if good.size else 1.0
    return f"{text}; or [train] clip_norm = {limit:.2g}"


def _figure(column: Column, guess: float | None) -> Curves:
    x, y = column.few()
    finite = [v for v in y if math.isfinite(v)]
    log = bool(finite) and min(finite) > 0 and max(finite) > 20 * min(finite)
    marks = () if guess is None else (Mark("y", guess, "ln C: guessing"),)
    return Curves("Objective", "step", "objective", (Series("", x, y),), marks, log_y=log)


CHECK = Check(
    divergence,
    family="training",
    question="Did training diverge, and where?",
    cost=lambda _: 0,
    settings={"quick": {}, "standard": {}, "deep": {}},
    weights=False,
)
