"""A run folder, or a race of them, read as far as it can be read.

What is missing or damaged becomes a sentence in `gaps`; only a folder that is no run folder at all
is an error.
"""

import tomllib
from dataclasses import dataclass
from typing import Any, final

from wellposed.errors import RunFolderError
from wellposed.report._curves import History, read_history
from wellposed.report._documents import Comparison, Data, Results, read_document, read_value
from wellposed.report._sentences import shorten
from wellposed.runs import RunFolder, Status

_RUNS = 100
_RECIPE = 60_000


@final
@dataclass(frozen=True, slots=True)
class Origin:
    """How a run came about.

    Args:
        recipe: The resolved recipe as TOML; "" if it cannot be trusted or read.
        tables: The recipe as a dict.
        provenance: provenance.json, or None.
    """

    recipe: str
    tables: dict[str, Any]
    provenance: dict[str, Any] | None

    def name(self, table: str, key: str = "name") -> str:
        """What the recipe says under `[table] key`, or ""."""
        value = self.tables.get(table)
        value = value.get(key) if isinstance(value, dict) else None
        return "" if isinstance(value, dict | list) or value is None else shorten(str(value), 60)

    def fact(self, key: str) -> str:
        """What provenance.json says under `key`, if that is text, or ""."""
        value = (self.provenance or {}).get(key)
        return shorten(value, 2000) if isinstance(value, str) else ""


@final
@dataclass(frozen=True, slots=True)
class Run:
    """Everything a run folder says.

    Args:
        folder: Where it is.
        info: run.json.
        origin: Recipe and provenance.
        data: data.json, or None.
        results: results.json, or None.
        history: The log as curves.
        clock: The last record of the clock, or {}.
        choices: choices.json as it is, or None.
        gaps: What is missing or damaged, one sentence each.
    """

    folder: RunFolder
    info: dict[str, Any]
    origin: Origin
    data: Data | None
    results: Results | None
    history: History
    clock: dict[str, Any]
    choices: Any
    gaps: list[str]

    @property
    def status(self) -> Status:
        """Where the run stands."""
        return Status(self.info["status"])


@final
@dataclass(frozen=True, slots=True)
class Race:
    """Everything a race folder says.

    Args:
        folder: Where it is.
        info: run.json.
        origin: Recipe and provenance.
        comparison: comparison.json, or None.
        runs: By "runs/<method>/seed-<k>".
        gaps: What is missing or damaged, one sentence each.
    """

    folder: RunFolder
    info: dict[str, Any]
    origin: Origin
    comparison: Comparison | None
    runs: dict[str, Run]
    gaps: list[str]

    @property
    def status(self) -> Status:
        """Where the race stands."""
        return Status(self.info["status"])


def load_run(folder: RunFolder, *, points: int = 400) -> Run:
    """Read a run folder; curves have at most about `points` points.

    Raises `RunFolderError` if it is no run folder that this version reads.
    """
    gaps: list[str] = []
    info = folder.info()
    return Run(
        folder=folder,
        info=info,
        origin=_origin(folder, gaps),
        data=read_document(folder, "data.json", Data, gaps),
        results=read_document(folder, "results.json", Results, gaps),
        history=read_history(folder, gaps, most=points),
        clock=_last_clock(folder, gaps),
        choices=read_value(folder, "choices.json", []),
        gaps=gaps,
    )


def load_race(folder: RunFolder) -> Race:
    """Read a race folder with the runs in it.

    Raises `RunFolderError` if it is no run folder that this version reads.
    """
    gaps: list[str] = []
    info = folder.info()
    origin = _origin(folder, gaps)
    comparison = read_document(folder, "comparison.json", Comparison, gaps)
    paths = folder.run_paths()
    if len(paths) > _RUNS:
        gaps.append(f"Of {len(paths)} runs, the curves of {_RUNS} are shown.")
    runs: dict[str, Run] = {}
    for path in paths[:_RUNS]:
        name = path.relative_to(folder.path).as_posix()
        try:
            runs[name] = load_run(RunFolder.open(path), points=max(40, 1600 // len(paths)))
        except RunFolderError as error:
            gaps.append(f"{error}.")
    return Race(folder, info, origin, comparison, runs, gaps)


def _origin(folder: RunFolder, gaps: list[str]) -> Origin:
    """Recipe and provenance of a folder."""
    text, tables = "", {}
    try:
        text = folder.recipe
        tables = tomllib.loads(text)
    except (RunFolderError, ValueError, RecursionError) as error:  # TOML's and Unicode's errors
        gaps.append(f"recipe.toml: {shorten(str(error), 300)}.")
    provenance = read_value(folder, "provenance.json", gaps)
    if provenance is not None and not isinstance(provenance, dict):
        gaps.append("provenance.json is not shown: it holds no names with values.")
        provenance = None
    return Origin(shorten(text, _RECIPE), tables, provenance)


def _last_clock(folder: RunFolder, gaps: list[str]) -> dict[str, Any]:
    """The last record of the clock, or {}."""
    last: dict[str, Any] = {}
    try:
        for record in folder.clock:
            last = record
    except RunFolderError as error:
        gaps.append(f"{error}.")
    return last
