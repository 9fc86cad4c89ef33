"""What the page of one run shows."""

import shlex
from dataclasses import dataclass
from typing import Any, final

from wellposed.report._audit import AuditBrief, brief_audit
from wellposed.report._charts import Chart, constants, run_charts
from wellposed.report._confusion import Confusion, class_name, confusion
from wellposed.report._documents import Cost, Data, Mistake, Split, flatten
from wellposed.report._load import Origin, Run
from wellposed.report._pictures import Album
from wellposed.report._regime import regime_sentences
from wellposed.report._sentences import (
    UNKNOWN,
    count,
    duration,
    error_sentence,
    level_name,
    memory,
    percent,
    percent_interval,
    percent_places,
    plain,
    shorten,
)
from wellposed.runs import RunFolder, Status

_MISTAKES, _FILTERS = 24, 64
_WEIGHTS = {
    "last": "the weights after the last step",
    "anchor": "the anchor of the relaxation",
    "ema": "the moving average of the weights",
}
Rows = list[tuple[str, str]]


@final
@dataclass(frozen=True, slots=True)
class MistakeView:
    """One mistake: what it looks like, and what was taken for what."""

    picture: str | None
    index: str
    true: str
    predicted: str
    confidence: str


@final
@dataclass(frozen=True, slots=True)
class Origins:
    """How to repeat a run, and what it was made of."""

    command: str
    again: list[str]
    recipe: str
    rows: Rows


@final
@dataclass(frozen=True, slots=True)
class RunView:
    """The content of a run's page, ready to be written down.

    Args:
        title: What was trained on what.
        method: With what it was trained.
        status: Where it stands, one word.
        lead: The result in one plain sentence.
        tiles: The most important numbers.
        splits: Rows of the table of results: part, examples, loss, error, interval.
        missed: Stated goals that were not met.
        weights: Which weights were evaluated, in words.
        charts: The curves.
        regime: In which regime a relaxation ran, one sentence each.
        constants: What the optimizer reported and never changed.
        audit: What an audit found.
        confusion: The confusion matrix, or None.
        confusion_part: Which part of the data it counts.
        mistakes: The most confident mistakes.
        filters: First-layer weights as data URIs.
        costs: Rows of the table of costs.
        data: Rows of the table of data.
        choices: Rows of what was chosen on this machine.
        origins: How to repeat it.
        gaps: What is missing or damaged.
    """

    title: str
    method: str
    status: str
    lead: str
    tiles: Rows
    splits: list[tuple[str, str, str, str, str]]
    missed: list[str]
    weights: str
    charts: list[Chart]
    regime: list[str]
    constants: Rows
    audit: AuditBrief
    confusion: Confusion | None
    confusion_part: str
    mistakes: list[MistakeView]
    filters: list[str]
    costs: Rows
    data: Rows
    choices: Rows
    origins: Origins
    gaps: list[str]


def view_run(run: Run, album: Album) -> RunView:
    """Everything that is to be shown of a run; pictures come out of the album's budget."""
    results, data = run.results, run.data
    classes = data.classes if data else []
    title, method = titles(run.origin)
    refused = len(album.refused)
    pictures = [
        album.embed(run.folder, f.picture) for f in _first(results, "first_layer", _FILTERS)
    ]
    mistakes = [
        _mistake(run.folder, album, mistake, classes)
        for mistake in _first(results, "mistakes", _MISTAKES)
    ]
    return RunView(
        title=title,
        method=method,
        status=run.status.value,
        lead=_lead(run),
        tiles=_tiles(run),
        splits=[_split(name, split) for name, split in results.splits.items()] if results else [],
        missed=results.missed_goals[:20] if results else [],
        weights=_WEIGHTS.get(results.weights, results.weights) if results else "",
        charts=run_charts(run.history),
        regime=regime_sentences(run.history),
        constants=constants(run.history),
        audit=brief_audit(run.folder),
        confusion=confusion(results.confusion, classes) if results else None,
        confusion_part=(results.shown if results else "") or main_split(run)[0],
        mistakes=mistakes,
        filters=[picture for picture in pictures if picture],
        costs=_costs(run),
        data=_data(data) if data else [],
        choices=flatten(run.choices, 24),
        origins=view_origins(run.folder, run.origin, resumable=run.status is not Status.DONE),
        gaps=[*run.gaps, *album.refused[refused:][:3]],
    )


def titles(origin: Origin) -> tuple[str, str]:
    """What was trained on what, and with what."""
    model, data, optimizer = (origin.name(table) for table in ("model", "data", "optimizer"))
    title = " on ".join(filter(None, [model, data])) or "A training run"
    return title, f"trained with {optimizer}" if optimizer else ""


def main_split(run: Run) -> tuple[str, Split | None]:
    """The part that the result is about: test, or validation, or train, or none."""
    splits = run.results.splits if run.results else {}
    for name in ("test", "validation", "train"):
        if name in splits:
            return name, splits[name]
    return "", None


def view_origins(folder: RunFolder, origin: Origin, *, resumable: bool) -> Origins:
    """How to repeat a run or a race."""
    path = str(folder.path)
    again = [f"wellposed train {shlex.quote(path + '/recipe.toml')}"]
    if resumable:
        again.insert(0, f"wellposed resume {shlex.quote(path)}")
    shown = flatten(origin.provenance)
    rows = [(name, text) for name, text in shown if name not in {"command", "created"}]
    return Origins(origin.fact("command"), again, origin.recipe, rows)


def _lead(run: Run) -> str:
    """The result in one plain sentence, or how far the run is."""
    name, split = main_split(run)
    if split is not None:
        return error_sentence(name, split.n, split.error, split.error_interval, split.level)
    step = run.history.step
    at = f"at step {count(step)}" if step is not None else "before its first record"
    return {
        Status.RUNNING: f"The run is not finished: the last record is {at}."
        if step is not None
        else "The run is not finished: there is no record yet.",
        Status.INTERRUPTED: f"The run was interrupted {at}; it can be resumed.",
        Status.FAILED: f"The run failed {at}.",
        Status.DONE: "The run is done, but its results are missing.",
    }[run.status] + _message(run)


def _message(run: Run) -> str:
    """What run.json adds to the status, as another sentence."""
    facts = [run.info.get(key) for key in ("diverged", "message")]
    said = [shorten(fact, 600).rstrip(".") for fact in facts if isinstance(fact, str) and fact]
    return "".join(f" {text[:1].upper()}{text[1:]}." for text in said)


def _tiles(run: Run) -> Rows:
    """The most important numbers with their names."""
    name, split = main_split(run)
    cost, tiles = _cost(run), []
    if split is not None:
        places = percent_places(split.error_interval)
        tiles.append((f"{name} error", percent(split.error, places)))
    tiles += [
        ("gradient evaluations", count(cost.gradient_evaluations)),
        ("time", duration(cost.seconds)),
        ("examples per second", count(cost.examples_per_second)),
        ("optimizer memory", memory(cost.optimizer_bytes)),
        ("parameters", count(cost.parameters)),
    ]
    return [(label, value) for label, value in tiles if value != UNKNOWN]


def _cost(run: Run) -> Cost:
    """The cost on record: of the results, or of the clock while there are none."""
    if run.results is not None:
        return run.results.cost
    known = {
        key: value
        for key, value in run.clock.items()
        if key in Cost.model_fields and isinstance(value, int | float)
    }
    gradients = [c.x[-1] for c in run.history.curves.values()]
    return Cost(**known, gradient_evaluations=max(gradients, default=None))


def _costs(run: Run) -> Rows:
    """The rows of the table of costs."""
    cost = _cost(run)
    rows = [
        ("gradient evaluations", count(cost.gradient_evaluations)),
        ("examples seen", count(cost.examples)),
        ("seconds (wall clock)", duration(cost.seconds)),
        ("CPU seconds", duration(cost.cpu_seconds)),
        ("examples per second", count(cost.examples_per_second)),
        ("optimizer memory", memory(cost.optimizer_bytes)),
        ("weights memory", memory(cost.weights_bytes)),
        ("parameters", count(cost.parameters)),
    ]
    return [(name, text) for name, text in rows if text != UNKNOWN]


def _split(name: str, split: Split) -> tuple[str, str, str, str, str]:
    """A row of the table of results."""
    places = percent_places(split.error_interval)
    interval = percent_interval(split.error_interval, places)
    if split.error_interval:
        interval = f"{interval}, at {level_name(split.level)}"
    return name, count(split.n), plain(split.loss), percent(split.error, places), interval


def _mistake(folder: RunFolder, album: Album, mistake: Mistake, classes: list[str]) -> MistakeView:
    """A mistake with its picture and the names of its classes."""
    return MistakeView(
        picture=album.embed(folder, mistake.picture),
        index=count(mistake.index),
        true=class_name(mistake.target, classes),
        predicted=class_name(mistake.predicted, classes),
        confidence=percent(mistake.confidence),
    )


def _data(data: Data) -> Rows:
    """The rows of the table of data."""
    rows = [
        ("name", data.name),
        ("license", data.license),
        ("source", data.source),
        ("input shape", " x ".join(map(str, data.shape[:8]))),
        ("classes", f"{count(len(data.classes))}: {', '.join(data.classes[:30])}"),
    ]
    rows += [
        (name, f"{count(part.n)} examples, sha256 {part.sha256}")
        for name, part in list(data.parts.items())[:8]
        if part is not None
    ]
    return [(name, text) for name, text in rows if text]


def _first(results: Any, name: str, most: int) -> list[Any]:
    """The first items of a list of the results."""
    return list(getattr(results, name))[:most] if results is not None else []
