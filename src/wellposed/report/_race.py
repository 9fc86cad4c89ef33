"""What the page of a race shows."""

from dataclasses import dataclass
from statistics import fmean, median
from typing import final

from markupsafe import Markup

from wellposed.report._charts import Chart, Team, race_charts
from wellposed.report._documents import Comparison, Method, Pair
from wellposed.report._figures import Estimate, interval_chart, swatch
from wellposed.report._load import Race, Run
from wellposed.report._pictures import Album
from wellposed.report._run import Origins, RunView, main_split, titles, view_origins, view_run
from wellposed.report._sentences import (
    UNKNOWN,
    count,
    count_of,
    decimals,
    duration,
    level_name,
    listing,
    memory,
    percent,
    percent_interval,
    percent_places,
    points,
    points_interval,
)
from wellposed.runs import Status

_METHODS, _PAIRS = 24, 120
_RELAXED = ("entropy", "relax", "lookahead", "local")


@final
@dataclass(frozen=True, slots=True)
class MethodView:
    """One method: its row of the table, and one of its runs in detail."""

    name: str
    optimizer: str
    swatch: Markup
    cells: list[str]
    run: RunView | None
    run_name: str


@final
@dataclass(frozen=True, slots=True)
class PairView:
    """Two methods: their difference, and what it decides."""

    names: str
    difference: str
    interval: str
    verdict: str
    decided: bool


@final
@dataclass(frozen=True, slots=True)
class RaceView:
    """The content of a race's page, ready to be written down.

    Args:
        title: What was trained on what.
        method: How many methods and seeds.
        status: Where it stands, one word.
        lead: The outcome, in the words of the comparison.
        metric: What was compared.
        level: Level of the intervals, such as "95 %".
        interval_narrow: Dots and intervals per method, or "".
        interval_wide: The same for a wide place.
        columns: Heads of the table.
        methods: Rows of the table, and details.
        closer: The method that is looked at more closely, or None.
        others: The other methods that have a run.
        pairs: Pairs of methods.
        charts: Curves of all methods.
        origins: How to repeat it.
        gaps: What is missing or damaged.
    """

    title: str
    method: str
    status: str
    lead: str
    metric: str
    level: str
    interval_narrow: Markup
    interval_wide: Markup
    columns: list[str]
    methods: list[MethodView]
    closer: MethodView | None
    others: list[MethodView]
    pairs: list[PairView]
    charts: list[Chart]
    origins: Origins
    gaps: list[str]


def view_race(race: Race, album: Album) -> RaceView:
    """Everything that is to be shown of a race; pictures come out of the album's budget."""
    comparison = race.comparison or _so_far(race)
    methods = comparison.methods[:_METHODS]
    runs = [_runs_of(race, method) for method in methods]
    closer, places = _relaxed(methods, runs), _places(methods)
    # the method looked at more closely takes its pictures from the album first
    order = sorted(range(len(methods)), key=lambda k: k != closer)
    views = {k: _method(methods[k], runs[k], places, k, album) for k in order}
    estimates = [
        Estimate(m.name, m.errors, m.mean, m.interval, k)
        for k, m in enumerate(methods)
        if m.mean is not None
    ]
    heading = f"{comparison.metric.capitalize()} per method"
    return RaceView(
        title=titles(race.origin)[0] if race.origin.name("model") else "A comparison",
        method=_size(comparison),
        status=race.status.value,
        lead=comparison.statement,
        metric=comparison.metric,
        level=level_name(comparison.level),
        interval_narrow=interval_chart(heading, estimates) if estimates else Markup(""),
        interval_wide=interval_chart(heading, estimates, width=740) if estimates else Markup(""),
        columns=_COLUMNS,
        methods=[views[k] for k in range(len(methods))],
        closer=None if closer is None else views[closer],
        others=[views[k] for k in range(len(methods)) if k != closer and views[k].run],
        pairs=[_pair(pair) for pair in comparison.pairs[:_PAIRS]],
        charts=race_charts(
            [Team(m.name, k, [r.history for r in runs[k]]) for k, m in enumerate(methods)]
        ),
        origins=view_origins(race.folder, race.origin, resumable=race.status is not Status.DONE),
        gaps=[*race.gaps, *_unfinished(race)],
    )


_COLUMNS = [
    "Mean \u00b1 standard error",
    "Interval",
    "Seeds",
    "Gradient evaluations",
    "Seconds",
    "CPU seconds",
    "Optimizer memory",
]


def _size(comparison: Comparison) -> str:
    """How many methods and seeds there are."""
    methods = count_of(len(comparison.methods), "method")
    seeds = len(comparison.seeds)
    return f"{methods}, {count_of(seeds, 'seed')} each" if seeds else methods


def _places(methods: list[Method]) -> int:
    """Decimals for means and intervals, the same for all: those of the middle standard error."""
    errors = [m.standard_error for m in methods if m.standard_error is not None]
    return decimals(100 * median(errors)) if errors else 2


def _method(method: Method, runs: list[Run], places: int, number: int, album: Album) -> MethodView:
    """A method with one of its runs, the first that has results."""
    shown = next((run for run in runs if run.results), runs[0] if runs else None)
    return MethodView(
        name=method.name,
        optimizer="" if method.optimizer == method.name else method.optimizer,
        swatch=swatch(number),
        cells=[
            _mean(method, places),
            percent_interval(method.interval, places),
            _seeds(method),
            count(method.gradient_evaluations),
            duration(method.seconds),
            duration(method.cpu_seconds),
            memory(method.optimizer_bytes),
        ],
        run=view_run(shown, album) if shown else None,
        run_name=shown.folder.path.name.replace("-", " ") if shown else "",
    )


def _seeds(method: Method) -> str:
    """How many seeds there are, and how many of them diverged."""
    diverged = f" ({len(method.diverged)} diverged)" if method.diverged else ""
    return f"{len(method.errors)}{diverged}"


def _mean(method: Method, places: int) -> str:
    """The mean with its standard error."""
    if method.mean is None:
        return UNKNOWN
    error = method.standard_error
    if error is None:
        return percent(method.mean, places)
    return f"{points(method.mean, places).lstrip('+')} \u00b1 {percent(error, places)}"


def _pair(pair: Pair) -> PairView:
    """A pair of methods in words."""
    better = pair.a if pair.difference < 0 else pair.b
    return PairView(
        names=f"{pair.a} \u2212 {pair.b}",
        difference=points(pair.difference, percent_places(pair.interval)),
        interval=points_interval(pair.interval),
        verdict=f"{better} has the smaller error" if pair.decided else "not decided",
        decided=pair.decided,
    )


def _runs_of(race: Race, method: Method) -> list[Run]:
    """The runs of a method that are in the folder, by name; a path elsewhere is not followed."""
    named = [race.runs[name] for name in method.runs if name in race.runs]
    if named:
        return named
    return [run for name, run in race.runs.items() if name.split("/")[1] == method.name]


def _relaxed(methods: list[Method], runs: list[list[Run]]) -> int | None:
    """The first relaxation method that has a run; if there is none, the first method that has."""
    with_runs = [k for k in range(len(methods)) if runs[k]]
    named = [
        k
        for k in with_runs
        if any(word in (methods[k].optimizer or methods[k].name).casefold() for word in _RELAXED)
    ]
    return next(iter(named or with_runs), None)


def _so_far(race: Race) -> Comparison:
    """What the finished runs say while there is no comparison: means without intervals."""
    errors: dict[str, list[float]] = {}
    for name, run in race.runs.items():
        _, split = main_split(run)
        errors.setdefault(name.split("/")[1], []).extend([split.error] if split else [])
    methods = [
        Method(name=name, errors=values, mean=fmean(values) if values else None)
        for name, values in errors.items()
    ]
    done = sum(len(values) for values in errors.values())
    return Comparison(
        methods=methods,
        statement="The race is not finished: "
        f"results are there from {count_of(done, 'run')}, and nothing is compared before all are.",
    )


def _unfinished(race: Race) -> list[str]:
    """Runs that are not done, in one sentence."""
    names = [name for name, run in race.runs.items() if run.status is not Status.DONE]
    if not names:
        return []
    return [f"Not done: {listing(names[:8])}{' and others' if len(names) > 8 else ''}."]
