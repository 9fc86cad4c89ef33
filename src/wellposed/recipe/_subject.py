"""A run folder becomes the subject of an audit."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from wellposed.audit import Descent, Subject, fitted_weights, put_weights, read_weights
from wellposed.data import Dataset
from wellposed.errors import RunFolderError, WellposedError
from wellposed.recipe._build import build, dataset
from wellposed.recipe._check import check
from wellposed.recipe._recipe import Recipe
from wellposed.recipe._restore import Restored, restore
from wellposed.recipe._source import other_data
from wellposed.runs import Log, RunFolder
from wellposed.train import load_checkpoint


def subject_of_run(
    folder: RunFolder | Path | str,
    *,
    data: str | None = None,
    other: Path | None = None,
    data_dir: Path | None = None,
    seed: int = 0,
) -> Subject:
    """The network of a run with everything that its folder knows of it.

    Initial weights are drawn again from the recipe's seed; the step size is the recipe's. Of a run
    that failed or was interrupted, the newest checkpoint is taken.

    Args:
        folder: Of a single run; its own code, if it names any, is run.
        data: Judge on these data instead of the run's own test part: a dataset's name, a folder of
            images, or an .npz file.
        other: A second run of the same model, or a file of weights for it.
        data_dir: Where to look for the data first.
        seed: Of the audit's draws.

    Raises `RunFolderError` or `DataError` if the run or the data cannot be used.
    """
    folder = folder if isinstance(folder, RunFolder) else RunFolder.open(Path(folder))
    recipe = _single(folder)
    own = dataset(recipe, data_dir=data_dir)
    made = build(recipe, data=own)
    initial = {n: v.detach().clone() for n, v in made.problem.model.state_dict().items()}
    model, state = _network(folder, made.problem.model)
    return Subject(
        model,
        own if data is None else _judged_on(own, recipe, model, data, data_dir),
        made.problem.loss,
        regularizer=made.problem.regularizer,
        descent=_descent(made.optimizer, made.plan.batch_size),
        initial=initial,
        other=None if other is None else _other(model, other),
        log=_records(folder.log),
        clock=_records(folder.clock),
        failure=str(folder.facts.get("error") or folder.facts.get("diverged") or ""),
        rebuild=lambda: build(recipe, data=own).problem.model,
        input_range=own.input_range,
        standardization=own.standardization,
        name=f"{recipe.model.name} of {folder.path.name}{state}",
        seed=seed,
    )


def _single(folder: RunFolder) -> Recipe:
    """The recipe of a folder that holds one training.

    Raises:
        RunFolderError: If it is a race's, or of an audit.
    """
    if folder.kind != "run":
        runs = folder.run_paths()
        example = runs[0] if runs else folder.path / "runs" / "..."
        raise RunFolderError(
            f"{folder.path} is a race of several runs; name one of them, such as {example}"
        )
    return Recipe.parse(folder.recipe, str(folder.path / "recipe.toml"))


def _network(folder: RunFolder, fresh: nn.Module) -> tuple[nn.Module, str]:
    """The network as the run has left it, and how far that is, in words.

    Of a run that is not done the weights are those of its newest checkpoint; without one, those it
    began with: its log is what such an audit is about.
    """
    if folder.has("results.json"):
        return restore(folder).model, ""
    checkpoint = load_checkpoint(folder.checkpoints)
    if checkpoint is None:
        return fresh.eval(), ", at its initial weights, since it has left no others"
    put_weights(fresh, checkpoint.parts["model"], str(checkpoint.path))
    return fresh.eval(), f", at step {checkpoint.step:,} of a training that is {folder.status}"


def _judged_on(
    own: Dataset, recipe: Recipe, model: nn.Module, name: str, data_dir: Path | None
) -> Dataset:
    """The run's training data, and other data as the part to judge on."""
    facts = own.describe()
    network = Restored(
        model, recipe, check(recipe), own.classes, own.shape, own.standardization, facts
    )
    other = other_data(network, name, data_dir=data_dir)
    return replace(own, name=f"{own.name}, judged on {name}", test=other.test or other.train)


def _descent(optimizer: Optimizer, batch_size: int) -> Descent | None:
    """The step of a recipe's optimizer before any schedule; None where it has no single one."""
    with suppress(WellposedError, KeyError, TypeError, ValueError):
        lr = float(optimizer.defaults.get("lr") or optimizer.param_groups[0]["lr"])
        for group in optimizer.param_groups:
            group["lr"] = lr  # a schedule may have begun with next to nothing
        return Descent.of(optimizer, batch_size=batch_size)
    return None


def _other(model: nn.Module, path: Path) -> dict[str, Tensor]:
    """The weights of a second run, or of a file."""
    state = restore(RunFolder.open(path)).model.state_dict() if path.is_dir() else None
    return fitted_weights(model, state or read_weights(path), str(path))


def _records(log: Log) -> list[dict[str, Any]]:
    """The records of a log, as far as they can be read."""
    found: list[dict[str, Any]] = []
    with suppress(RunFolderError):
        found.extend(log)
    return found
