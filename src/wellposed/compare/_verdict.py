"""From the errors of all runs to what may be said about the methods."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any, final

import numpy as np
from scipy.special import nctdtrinc, stdtrit

from wellposed.compare._outcome import Outcome
from wellposed.stats import mean_interval, paired_difference

Interval = tuple[float, float]
POWER = 0.8


@final
@dataclass(frozen=True, slots=True)
class Standing:
    """One method's results over all seeds.

    Args:
        name: Of the method.
        optimizer: The name of its optimizer in the recipe.
        errors: One per seed, in [0, 1]; 1 where the run diverged.
        mean: Of the errors.
        standard_error: Of the mean; None with a single seed.
        interval: For the mean over all seeds there could be, Student's t; None with one seed.
        gradient_evaluations: Gradients of a batch per run, mean over the runs that finished.
        seconds: Wall clock per run, mean.
        cpu_seconds: Processor time per run, mean.
        optimizer_bytes: Memory of the optimizer's state.
        runs: Folders of the runs, below the race's.
        diverged: Seeds whose run diverged.
    """

    name: str
    optimizer: str
    errors: tuple[float, ...]
    mean: float
    standard_error: float | None
    interval: Interval | None
    gradient_evaluations: float | None
    seconds: float | None
    cpu_seconds: float | None
    optimizer_bytes: float | None
    runs: tuple[str, ...]
    diverged: tuple[int, ...]


@final
@dataclass(frozen=True, slots=True)
class Pair:
    """Two methods: the mean difference of their errors over the seeds, a minus b.

    Args:
        a: A method.
        b: Another.
        difference: Of the mean errors.
        interval: For it; all pairs' intervals hold together at the level of the comparison.
        decided: Whether the interval leaves out 0.
        statement: In words.
    """

    a: str
    b: str
    difference: float
    interval: Interval
    decided: bool
    statement: str


@final
@dataclass(frozen=True, slots=True)
class Comparison:
    """The verdict of a race with its evidence; the content of comparison.json.

    Args:
        metric: What was compared: "test error".
        level: Confidence of the intervals.
        seeds: Of the runs.
        methods: One standing per method, in the recipe's order.
        pairs: Every two methods; empty with a single seed.
        equal_budget: Whether all finished runs took equally many gradients.
        detectable: The difference that a race with these seeds would find in 4 of 5 cases; None
            with a single seed, or where every run diverged.
        statement: What may be said, in plain words.
    """

    metric: str
    level: float
    seeds: tuple[int, ...]
    methods: tuple[Standing, ...]
    pairs: tuple[Pair, ...]
    equal_budget: bool
    detectable: float | None
    statement: str

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)

    @property
    def best(self) -> Standing:
        """The method of the smallest mean error, which need not be better than the next."""
        return min(self.methods, key=lambda standing: standing.mean)


def judge(
    outcomes: Iterable[Outcome],
    optimizers: Mapping[str, str],
    *,
    level: float = 0.95,
) -> Comparison:
    """Compare methods by the errors of their runs, paired by seed.

    The interval of a pair is Student's t on the differences, at a level that lets all pairs hold
    together (Bonferroni), and never narrower than one example of the measured part allows: with
    few seeds equal differences are common and prove nothing.

    Args:
        outcomes: One per method and seed, all of them.
        optimizers: For each method, in order, the name of its optimizer.
        level: Confidence, in (0, 1).
    """
    table = {(o.entry.method, o.entry.seed): o for o in outcomes}
    seeds = tuple(dict.fromkeys(seed for _, seed in table))
    rows = {name: [table[name, seed] for seed in seeds] for name in optimizers}
    methods = tuple(_standing(name, optimizers[name], row, level) for name, row in rows.items())
    couples = list(combinations(methods, 2)) if len(seeds) > 1 else []
    sharp = 1 - (1 - level) / max(1, len(couples))
    least = max((1 / o.examples for o in table.values() if o.examples), default=0.0)
    pairs = tuple(_pair(a, b, sharp, least) for a, b in couples)
    budgets = {o.cost.get("gradient_evaluations") for o in table.values() if not o.diverged}
    detectable = _detectable(couples, sharp, least) if couples and least else None
    equal = len(budgets) <= 1
    metric = f"{next((o.part for o in table.values() if o.part), 'test')} error"
    return Comparison(
        metric=metric,
        level=level,
        seeds=seeds,
        methods=methods,
        pairs=pairs,
        equal_budget=equal,
        detectable=detectable,
        statement=" ".join(_sentences(methods, pairs, seeds, equal, detectable, metric)),
    )


def percent(fraction: float) -> str:
    """An error as people read it: `3.06 %`."""
    return f"{100 * fraction:.2f} %"


def _standing(name: str, optimizer: str, row: Sequence[Outcome], level: float) -> Standing:
    errors = tuple(o.error for o in row)
    several = len(errors) > 1
    low, high = mean_interval(errors, level) if several else (math.nan, math.nan)
    return Standing(
        name=name,
        optimizer=optimizer,
        errors=errors,
        mean=float(np.mean(errors)),
        standard_error=float(np.std(errors, ddof=1)) / math.sqrt(len(errors)) if several else None,
        interval=(max(0.0, low), min(1.0, high)) if several else None,
        gradient_evaluations=_mean(row, "gradient_evaluations"),
        seconds=_mean(row, "seconds"),
        cpu_seconds=_mean(row, "cpu_seconds"),
        optimizer_bytes=_mean(row, "optimizer_bytes"),
        runs=tuple(o.entry.name for o in row),
        diverged=tuple(o.entry.seed for o in row if o.diverged),
    )


def _mean(row: Sequence[Outcome], key: str) -> float | None:
    found = [o.cost[key] for o in row if key in o.cost]
    return float(np.mean(found)) if found else None


def _pair(a: Standing, b: Standing, level: float, least: float) -> Pair:
    difference = a.mean - b.mean
    low, high = paired_difference(a.errors, b.errors, level)
    floor = _quantile(level, len(a.errors)) * least / math.sqrt(6 * len(a.errors))
    half = max((high - low) / 2, floor)
    interval = (difference - half, difference + half)
    decided = interval[0] > 0 or interval[1] < 0
    spread = f"[{percent(interval[0])}, {percent(interval[1])}]"
    if decided:
        better, worse = (a, b) if difference < 0 else (b, a)
        words = f"{better.name} errs less than {worse.name}"
    else:
        words = f"undecided between {a.name} and {b.name}"
    return Pair(
        a.name, b.name, difference, interval, decided,
        f"{words}: {a.name} - {b.name} = {percent(difference)}, interval {spread}",
    )  # fmt: skip


def _quantile(level: float, n: int) -> float:
    return float(stdtrit(n - 1, 0.5 + level / 2))


def _detectable(couples: Sequence[tuple[Standing, Standing]], level: float, least: float) -> float:
    """The difference that the test decides with probability `POWER`, if the spread seen is true.

    The statistic then has a noncentral t distribution, and this is where it leaves its quantile.
    """
    n = len(couples[0][0].errors)
    variances = [np.var(np.subtract(a.errors, b.errors), ddof=1) for a, b in couples]
    spread = math.sqrt(max(float(np.mean(variances)), least**2 / 6) / n)
    return float(nctdtrinc(n - 1, 1 - POWER, _quantile(level, n))) * spread


def _sentences(
    methods: Sequence[Standing],
    pairs: Sequence[Pair],
    seeds: Sequence[int],
    equal: bool,  # noqa: FBT001
    detectable: float | None,
    metric: str,
) -> Iterable[str]:
    for m in methods:
        if m.diverged:
            yield (
                f"{m.name} diverged in {len(m.diverged)} of {len(seeds)} runs; each counts with "
                "an error of 100 %."
            )
    if all(len(m.diverged) == len(seeds) for m in methods):
        yield "No run came to its end, so nothing can be said."
        return
    yield from _ranking(methods, pairs, metric)
    if not equal:
        yield (
            "The methods did not take equally many gradients, so this is not a comparison at "
            "equal cost."
        )
    if detectable is not None and detectable >= 1:
        yield f"With {len(seeds)} seeds and the spread seen here no difference can be found."
    elif detectable is not None:
        yield (
            f"With {len(seeds)} seeds and the spread seen here, a true difference below about "
            f"{percent(detectable)} would more likely than one time in five be missed."
        )


def _ranking(methods: Sequence[Standing], pairs: Sequence[Pair], metric: str) -> Iterable[str]:
    best = min(methods, key=lambda m: m.mean)
    if len(methods) == 1:
        return
    if not pairs:
        first = ", ".join(m.name for m in methods if m.mean == best.mean)
        yield f"A single seed decides nothing: in this one {first} had the smallest {metric}."
        return
    beaten = {name for p in pairs if p.decided for name in (p.a, p.b) if best.name in (p.a, p.b)}
    rivals = [m.name for m in methods if m.name not in beaten | {best.name}]
    if rivals:
        yield (
            f"No winner: the intervals do not separate {best.name} ({percent(best.mean)}), which "
            f"has the smallest mean {metric}, from {', '.join(rivals)}."
        )
    elif _overlaps(best, methods):
        yield (
            f"No winner: seed by seed {best.name} errs less than every other, but the intervals "
            "of the means overlap."
        )
    else:
        yield f"{best.name} has the smallest {metric}, {percent(best.mean)}."
    for pair in pairs:
        if pair.decided:
            yield pair.statement + "."


def _overlaps(best: Standing, methods: Sequence[Standing]) -> bool:
    """Whether another method's interval for the mean reaches into the best one's."""
    high = (best.interval or (0.0, 1.0))[1]
    return any((m.interval or (0.0, 1.0))[0] <= high for m in methods if m is not best)
