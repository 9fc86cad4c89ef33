"""A run folder becomes the subject of an audit."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from wellposed.audit import Descent, Subject, fitted_weights, read_weights
from wellposed.data import Dataset
from wellposed.errors import RunFolderError, WellposedError
from wellposed.recipe._build import build, dataset
from wellposed.recipe._restore import Restored, restore
from wellposed.recipe._source import other_data
from wellposed.runs import Log, RunFolder


def subject_of_run(
    folder: RunFolder | Path | str,
    *,
    data: str | None = None,
    other: Path | None = None,
    data_dir: Path | None = None,
    seed: int = 0,
) -> Subject:
    """The network of a finished run with everything that its folder knows of it.

    Initial weights are drawn again from the recipe's seed; the step size is the recipe's.

    Args:
        folder: Of a single run that is done; its own code, if it names any, is run.
        data: Judge on these data instead of the run's own test part: a dataset's name, a folder of
            images, or an .npz file.
        other: A second run of the same model, or a file of weights for it.
        data_dir: Where to look for the data first.
        seed: Of the audit's draws.

    Raises `RunFolderError` or `DataError` if the run or the data cannot be used.
    """
    folder = folder if isinstance(folder, RunFolder) else RunFolder.open(Path(folder))
    restored = restore(folder)
    own = dataset(restored.recipe, data_dir=data_dir)
    made = build(restored.recipe, data=own)
    fresh = made.problem.model
    judged = own if data is None else _judged_on(own, restored, data, data_dir)
    return Subject(
        restored.model,
        judged,
        made.problem.loss,
        regularizer=made.problem.regularizer,
        descent=_descent(made.optimizer, made.plan.batch_size),
        initial={name: value.clone() for name, value in fresh.state_dict().items()},
        other=None if other is None else _other(restored.model, other),
        log=_records(folder.log),
        clock=_records(folder.clock),
        rebuild=lambda: build(restored.recipe, data=own).problem.model,
        input_range=own.input_range,
        standardization=own.standardization,
        name=f"{restored.recipe.model.name} of {folder.path.name}",
        seed=seed,
    )


def _judged_on(own: Dataset, restored: Restored, name: str, data_dir: Path | None) -> Dataset:
    """The run's training data, and other data as the part to judge on."""
    other = other_data(restored, name, data_dir=data_dir)
    return replace(own, name=f"{own.name}, judged on {name}", test=other.test or other.train)


def _descent(optimizer: Optimizer, batch_size: int) -> Descent | None:
    """The step of a recipe's optimizer; None where it has no single step size."""
    with suppress(WellposedError, KeyError, TypeError, ValueError):
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
