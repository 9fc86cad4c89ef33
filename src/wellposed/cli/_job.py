"""What `train` and `resume` share: carry out the job of a run folder, and say what came of it."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wellposed.cli._output import Output
from wellposed.errors import Interrupted, WellposedError

if TYPE_CHECKING:
    from wellposed.recipe import Goal, Recipe
    from wellposed.runs import RunFolder

GOAL_MISSED = 1


def carry_out(
    folder: "RunFolder", out: Output, data_dir: Path | None, recipe: "Recipe | None" = None
) -> int:
    """Train what the folder's recipe says, from wherever it stands; returns the exit code.

    Args:
        folder: Of the run or race.
        out: Where to print.
        data_dir: Where to look for data first.
        recipe: The folder's recipe as the user wrote it, for the places that messages name.
    """
    from wellposed.recipe import Recipe

    recipe = recipe or Recipe.parse(folder.recipe, str(folder.path / "recipe.toml"))
    with _resumable(folder.path):
        work = _race if folder.kind == "race" else _single
        with _whose(recipe):
            missed = work(recipe, folder, out, data_dir)
        report = _report(folder, out)
    for sentence in missed:
        out.line(f"Goal missed: {sentence}.")
    out.line()
    out.line(f"Report: {report}" if report else f"Results: {folder.path}")
    out.record(
        {"event": "done", "folder": str(folder.path), "report": report, "missed_goals": missed}
    )
    return GOAL_MISSED if missed else 0


def _single(recipe: "Recipe", folder: "RunFolder", out: Output, data_dir: Path | None) -> list[str]:
    """Train one network, print its errors; returns the goals it missed."""
    from wellposed.recipe import build
    from wellposed.train import fit, progress

    made = build(recipe, data_dir=data_dir)
    result = fit(
        made.problem,
        made.optimizer,
        made.plan,
        schedulers=made.schedulers,
        folder=folder,
        observers=[progress(json=out.as_json)],
        goal={f"{part}_error": limit for part, limit in _limits(recipe.goal).items()},
    )
    results = folder.read_json("results.json")
    rows = [
        (part, str(split["n"]), f"{split['loss']:.4f}", error_words(split))
        for part, split in results["splits"].items()
    ]
    out.line()
    out.table(("part", "examples", "loss", "error"), rows, right=1)
    out.line()
    out.line(_cost_words(results["cost"]))
    return list(result.missed)


def _race(recipe: "Recipe", folder: "RunFolder", out: Output, data_dir: Path | None) -> list[str]:
    """Run a race and print its table; returns the goals that no method reached."""
    from wellposed.cli._progress import RaceProgress
    from wellposed.compare import race

    with RaceProgress(out) as progress:
        found = race(recipe, folder, observers=[progress], watchers=[progress], data_dir=data_dir)
    out.record({"event": "comparison", **found.to_dict()})
    header = (
        "method", found.metric, "std. error", "gradients", "seconds", "optimizer memory",
    )  # fmt: skip
    rows = [
        (
            m.name,
            f"{100 * m.mean:.2f} %",
            "" if m.standard_error is None else f"{100 * m.standard_error:.2f} %",
            "" if m.gradient_evaluations is None else f"{m.gradient_evaluations:,.0f}",
            "" if m.seconds is None else f"{m.seconds:.1f}",
            "" if m.optimizer_bytes is None else memory_words(m.optimizer_bytes),
        )
        for m in found.methods
    ]
    out.line()
    out.table(header, rows, right=1)
    seeds = f"{len(found.seeds)} seed{'s' if len(found.seeds) > 1 else ''}"
    out.line(f"Means over {seeds}; gradients and seconds are per run.")
    out.line()
    out.paragraph(found.statement)
    limit = _limits(recipe.goal).get("test")
    if limit is None or found.best.mean <= limit:
        return []
    return [f"the smallest mean test error is {100 * found.best.mean:.2f} %, not {100 * limit:g} %"]


def _report(folder: "RunFolder", out: Output) -> str | None:
    """The report's path; the results stand even if it cannot be written."""
    from wellposed.report import render

    try:
        return str(render(folder))
    except WellposedError as error:
        out.line(f"The report could not be written: {error}")
        return None


@contextmanager
def _whose(recipe: "Recipe") -> Iterator[None]:
    """An exception from outside wellposed remembers which code of the user's own took part."""
    try:
        yield
    except (WellposedError, OSError, MemoryError):
        raise
    except Exception as error:
        error.own_code = recipe.own_code  # type: ignore[attr-defined]
        raise


@contextmanager
def _resumable(path: Path) -> Iterator[None]:
    """Ctrl-C or SIGTERM outside `fit`, which has its own care for them, can be resumed as well."""
    resume = f"wellposed resume {path}"
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(signal.SIGINT, resume) from None
    except SystemExit as error:
        if error.code == 128 + signal.SIGTERM:
            raise Interrupted(signal.SIGTERM, resume) from None
        raise


def error_words(split: dict[str, Any]) -> str:
    """An error with its interval: `3.06 % [1.7, 5.4]`."""
    low, high = split["error_interval"]
    return f"{100 * split['error']:.2f} % [{100 * low:.2f}, {100 * high:.2f}]"


def memory_words(size: float) -> str:
    """Bytes in the unit that people would use, in powers of 1000 as in the report."""
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def _cost_words(cost: dict[str, Any]) -> str:
    return (
        f"{cost['gradient_evaluations']:,.0f} gradient evaluations in {cost['seconds']:.1f} s "
        f"({cost['examples_per_second']:,.0f} examples/s), "
        f"optimizer memory {memory_words(cost['optimizer_bytes'])}"
    )


def _limits(goal: "Goal | None") -> dict[str, float]:
    return goal.limits() if goal else {}
