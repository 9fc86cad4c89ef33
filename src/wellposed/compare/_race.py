"""All runs of a race, one after the other, resumable at every point."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from wellposed.compare._design import Entry, design
from wellposed.compare._outcome import Outcome, outcome
from wellposed.compare._verdict import Comparison, judge
from wellposed.data import Dataset
from wellposed.errors import Interrupted, NotFiniteError, RunFolderError, first_line
from wellposed.recipe import Recipe, build, check, dataset
from wellposed.runs import RunFolder, Status, exclusive, provenance
from wellposed.train import Observer, fit


@runtime_checkable
class Watcher(Protocol):
    """Something that is told how a race goes."""

    def begin_race(self, entries: Sequence[Entry]) -> None:
        """Called once, with all runs in their order."""

    def begin_run(self, entry: Entry) -> None:
        """Called before a run is started or resumed."""

    def end_run(self, entry: Entry, found: Outcome) -> None:
        """Called with the outcome of each run, also of those that were finished before."""


def race(
    recipe: Recipe,
    folder: RunFolder,
    *,
    observers: Sequence[Observer] = (),
    watchers: Sequence[Watcher] = (),
    data_dir: str | Path | None = None,
) -> Comparison:
    """Run every method of the recipe with every seed, and compare their errors.

    Each run has a folder of its own below the race's. Runs that are finished are not repeated and
    an interrupted one is resumed, so the same call goes on wherever a race was cut off. A run
    that diverges is reported, counts with an error of 1, and does not stop the others.

    Args:
        recipe: With a `[compare]` table; all methods are checked and built before the first run.
        folder: Of the race; gets comparison.json.
        observers: Told of every run's training, as by `wellposed.train.fit`.
        watchers: Told of the race.
        data_dir: Where to look for the data first.

    Raises `Interrupted` after SIGINT or SIGTERM, with the command that resumes the race;
    `RunFolderError` if another process is at it.
    """
    with exclusive(folder.path):
        return _race(recipe, folder, observers, watchers, data_dir)


def _race(
    recipe: Recipe,
    folder: RunFolder,
    observers: Sequence[Observer],
    watchers: Sequence[Watcher],
    data_dir: str | Path | None,
) -> Comparison:
    """As `race`, in a folder that nobody else works in."""
    entries = design(recipe)
    runner = _Runner(recipe, folder, tuple(observers), data_dir)
    for method in recipe.methods:
        check(recipe.run(method, entries[0].seed))
    runner.rehearse(entries)
    for watcher in watchers:
        watcher.begin_race(entries)
    outcomes = []
    with _status(folder):
        for entry in entries:
            found = runner.finished(entry)
            if found is None:
                for watcher in watchers:
                    watcher.begin_run(entry)
                found = runner.run(entry)
            outcomes.append(found)
            for watcher in watchers:
                watcher.end_run(entry, found)
        optimizers = {m: recipe.run(m, entries[0].seed).optimizer.name for m in recipe.methods}
        comparison = judge(outcomes, optimizers)
        folder.write_json("comparison.json", comparison.to_dict())
    return comparison


@dataclass
class _Runner:
    """Makes single runs of a race; keeps the data of a seed for all its methods."""

    recipe: Recipe
    folder: RunFolder
    observers: tuple[Observer, ...]
    data_dir: str | Path | None
    data: tuple[int, Dataset] | None = None

    def rehearse(self, entries: Sequence[Entry]) -> None:
        """Build each method that has a run to come once, so that none is refused after hours.

        Raises `RecipeError` if a method cannot be built.
        """
        waiting = [entry for entry in entries if not (self._path(entry) / "run.json").exists()]
        for entry in {entry.method: entry for entry in reversed(waiting)}.values():
            recipe = self.recipe.run(entry.method, waiting[0].seed)
            build(recipe, data=self._data(recipe))

    def finished(self, entry: Entry) -> Outcome | None:
        """The outcome of a run that an earlier call has finished, or None."""
        path = self._path(entry)
        return outcome(entry, RunFolder.open(path)) if (path / "run.json").exists() else None

    def run(self, entry: Entry) -> Outcome:
        """Train, or go on training, until there is an outcome.

        Raises:
            RunFolderError: If the finished run cannot be read.
        """
        recipe = self.recipe.run(entry.method, entry.seed)
        made = build(recipe, data=self._data(recipe))
        folder = self._child(entry, recipe)
        try:
            fit(
                made.problem,
                made.optimizer,
                made.plan,
                schedulers=made.schedulers,
                folder=folder,
                observers=self.observers,
            )
        except NotFiniteError as error:
            folder.set_status(Status.FAILED, diverged=first_line(error))
        found = outcome(entry, folder)
        if found is None:
            raise RunFolderError(f"{folder.path} is not finished although its training ended")
        return found

    def _child(self, entry: Entry, recipe: Recipe) -> RunFolder:
        """The run's folder; what was being made when the race was killed is made again."""
        path = self._path(entry)
        if (path / "run.json").exists():
            return RunFolder.open(path)
        for name in ("recipe.toml", "provenance.json"):  # written before run.json
            (path / name).unlink(missing_ok=True)
        facts = provenance({"recipe": entry.seed}, race=str(self.folder.path), method=entry.method)
        return RunFolder.create(path, kind="run", recipe=recipe.to_toml(), provenance=facts)

    def _path(self, entry: Entry) -> Path:
        """The run's folder, which must lie in the race's, whatever links somebody has put there.

        Raises:
            RunFolderError: If it lies elsewhere.
        """
        path = self.folder.path / entry.name
        if path.resolve() != self.folder.path.resolve() / entry.name:
            raise RunFolderError(
                f"{path} leads to {path.resolve()} by a symbolic link, and those are not followed; "
                "remove it"
            )
        return path

    def _data(self, recipe: Recipe) -> Dataset:
        """The data of the run's seed, which all its methods share."""
        if self.data is None or self.data[0] != recipe.seed:
            self.data = recipe.seed, dataset(recipe, data_dir=self.data_dir)
        return self.data[1]


@contextmanager
def _status(folder: RunFolder) -> Iterator[None]:
    """Keep the race's status; a signal that stops a run stops the race, which can be resumed."""
    folder.set_status(Status.RUNNING)
    try:
        yield
    except Interrupted as error:
        folder.set_status(Status.INTERRUPTED)
        raise Interrupted(error.signal, f"wellposed resume {folder.path}") from None
    except BaseException as error:
        with suppress(RunFolderError):  # the first error is the one to tell
            stopped = not isinstance(error, Exception)
            folder.set_status(Status.INTERRUPTED if stopped else Status.FAILED)
        raise
    folder.set_status(Status.DONE)
