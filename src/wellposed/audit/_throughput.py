"""Did the clock of training stall or slow down?"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from wellposed.audit._check import Check
from wellposed.audit._gradient_spikes import running_scores
from wellposed.audit._subject import Subject
from wellposed.audit._training_log import Column, number, slope
from wellposed.errors import ArgumentError, require
from wellposed.runs import Curves, Finding, Listing, Series, Threshold, Verdict

LEVEL = 0.99
_RECORDS, _FACTOR, _BLOCKS = 20, 2.0, 16
LOST, _DRIFT = 0.1, 1.25


def throughput(subject: Subject) -> Finding:
    r"""Look for stretches of the clock that took far longer than those around them.

    Between two records a step took $\tau_i = \Delta t_i / \Delta k_i$. A stretch is slow if the
    score of $\log \tau_i$ against its running median and scatter is above the bound that
    `gradient_spikes` uses, and $\tau_i$ is above twice the median. The value is the share of all
    seconds that slow stretches took beyond the median; above 10 % it warns (a convention). How
    many times longer a step took in the second half than in the first comes from the line of least
    squares through the medians of $\log \tau$ over 16 stretches, with the t-interval of its slope:
    wholly above 1.25 warns, and slower without reaching that wholly is undecided.

    Args:
        subject: With a clock of at least 20 records of step and seconds.

    Cost: none in gradient evaluations; one pass over the clock.

    Raises `ArgumentError` if there is no clock, or it is too short.
    """
    step, seconds, cpu = _read(subject)
    passed, took = np.diff(step), np.diff(seconds)
    good = (passed > 0) & (took > 0)
    require(
        int(good.sum()) >= _RECORDS - 1,
        f"throughput needs {_RECORDS} records of the clock in which time and steps go on, and "
        f"{int(good.sum()) + 1} do",
    )
    at, passed, took = step[1:][good], passed[good], took[good]
    per = took / passed
    middle, score, bound = running_scores(per)
    slow = np.flatnonzero((score > bound) & (per > _FACTOR * middle))
    total = float(took.sum())
    lost = float((took - middle * passed)[slow].sum()) / total
    drift, ends = _drift(per)
    threshold = Threshold(LOST, "above", "convention", "a tenth of the time")
    drifts = ends[0] > _DRIFT
    said = f"Slow stretches took {100 * lost:.2g} % of {total:.3g} s beyond the usual time"
    said += f"; the second half took {drift:.3g} [{ends[0]:.3g}, {ends[1]:.3g}] times the first"
    value, interval, level = lost, (lost, lost), None
    if ends[0] > 1 and ends[1] > _DRIFT and lost <= LOST:
        value, interval, level = drift, ends, LEVEL
        threshold = Threshold(_DRIFT, "above", "convention", "a quarter slower")
    slower = ends[0] > 1 and ends[1] > _DRIFT  # but not shown to be that much slower
    verdict = Verdict.UNKNOWN if slower else Verdict.PASS
    if drifts or lost > LOST:
        verdict = Verdict.WARN
    idle = _idle(cpu, good, took, slow)
    return Finding(
        check="throughput",
        verdict=verdict,
        statement=f"{said}.",
        value=value,
        interval=interval,
        level=level,
        unit="share" if value is lost else "times",
        threshold=threshold,
        where=", ".join(f"step {at[k]:,.0f}" for k in slow[:5]) if lost > LOST else "",
        evidence={
            "records": len(at),
            "median seconds per step": float(np.median(per)),
            "slow stretches": len(slow),
            "CPU seconds per second there": idle,
            "bound of the score": bound,
        },
        verified=_again(step, seconds, passed, per),
        remedy=_remedy(idle, drifts=drifts) if verdict is Verdict.WARN else "",
        figures=_figures(at, per, middle, slow),
    )


def _read(subject: Subject) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Step, seconds, and CPU seconds (nan where they are missing) of every record of the clock."""
    if not subject.clock:
        raise ArgumentError(
            "throughput reads the clock of training, and this subject has none; give "
            'clock=[{"step": 1, "seconds": 0.5}, ...]'
        )
    rows = [row for row in map(_row, subject.clock) if row is not None]
    require(
        len(rows) >= _RECORDS,
        f"throughput needs at least {_RECORDS} records of the clock with step and seconds, and "
        f"there are {len(rows)}; log more often: [train] log_every",
    )
    step, seconds, cpu = (np.array(column) for column in zip(*rows, strict=True))
    return step, seconds, cpu


def _row(record: Any) -> tuple[float, float, float] | None:
    if not isinstance(record, Mapping):
        return None
    found = [number(record.get(name)) for name in ("step", "seconds", "cpu_seconds")]
    seconds = found[1] if found[1] is not None else number(record.get("time"))
    step = found[0]
    if step is None or seconds is None or not (math.isfinite(step) and math.isfinite(seconds)):
        return None
    return step, seconds, math.nan if found[2] is None else found[2]


def _drift(per: np.ndarray) -> tuple[float, tuple[float, float]]:
    """How many times longer a step took in the second half, by the line through medians."""
    parts = np.array_split(np.log(per), _BLOCKS)
    medians = np.array([float(np.median(part)) for part in parts])
    found = slope(np.arange(float(_BLOCKS)), medians, LEVEL)
    value, low, high = (math.exp(_BLOCKS / 2 * s) for s in found)
    return value, (low, high)


def _idle(cpu: np.ndarray, good: np.ndarray, took: np.ndarray, slow: np.ndarray) -> float | None:
    """CPU seconds per second in the slow stretches; None if that is not known."""
    used = np.diff(cpu)[good][slow]
    if not slow.size or not np.isfinite(used).all():
        return None
    return float(used.sum() / took[slow].sum())


def _remedy(idle: float | None, *, drifts: bool) -> str:
    """What to look at."""
    if drifts:
        return "look for what grows with time: memory, lists of tensors with history, a hot machine"
    if idle is None:
        return "look at data loading, checkpoints and other processes at these steps"
    if idle < 0.5:
        return (
            "the processor waited in these stretches: look at the disk, the network and the data "
            "loading ([data] prefetch)"
        )
    return "the processor worked in these stretches: look at evaluations, checkpoints, other jobs"


def _again(step: np.ndarray, seconds: np.ndarray, passed: np.ndarray, per: np.ndarray) -> str:
    """The seconds of all stretches, against the clock's two ends."""
    exact, summed = float(seconds[-1] - seconds[0]), float((passed * per).sum())
    if (np.diff(step) <= 0).any() or (np.diff(seconds) <= 0).any():
        return "nothing: stretches without steps or time were left out"
    agrees = math.isclose(exact, summed, rel_tol=1e-6)
    return f"stretches add up to the clock's {exact:.4g} s: {'equal' if agrees else 'DIFFERENT'}"


def _figures(
    at: np.ndarray, per: np.ndarray, middle: np.ndarray, slow: np.ndarray
) -> tuple[Curves | Listing, ...]:
    lines = [
        Series("between records", *Column(at, per).few()),
        Series("running median", *Column(at, middle).few()),
    ]
    if slow.size:
        lines.append(Series("slow", *Column(at[slow], per[slow]).few(100), points=True))
    log = bool(per.max() > 20 * per.min())
    drawn = Curves("Time per step", "step", "seconds per step", tuple(lines), log_y=log)
    if not slow.size:
        return (drawn,)
    worst = sorted(slow[np.argsort(-per[slow])][:12])
    rows = tuple((f"{at[k]:,.0f}", f"{per[k]:.3g}", f"{per[k] / middle[k]:.3g}") for k in worst)
    header = ("to step", "seconds per step", "times the median")
    return drawn, Listing("Slow stretches", header, rows, right=1)


CHECK = Check(
    throughput,
    family="training",
    question="Did the clock of training stall or slow down?",
    cost=lambda _: 0,
    settings={"quick": {}, "standard": {}, "deep": {}},
    weights=False,
)
