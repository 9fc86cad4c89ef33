"""Datasets by name, apart from a recipe: for looking at them, and for measuring on others."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from wellposed.data import Dataset, Examples, Places, Source, load
from wellposed.errors import DataError, require
from wellposed.recipe._check import source_of
from wellposed.recipe._origin import Origin
from wellposed.recipe._recipe import Recipe
from wellposed.recipe._restore import Restored


def source(name: str, settings: Iterable[str] = (), **arguments: Any) -> Source:
    """The source of that name, with arguments by keyword or as `key=value` settings.

    Raises `RecipeError` if there is no such source, or it takes no such arguments.
    """
    named = {"name": name, **arguments}
    tables: dict[str, Any] = {"data": named, "model": "linear", "optimizer": "sgd"}
    recipe = Recipe.from_tables(tables, Origin(f"dataset {name}")).override(
        f"data.{s}" for s in settings
    )
    found: Source = source_of(recipe)()
    return found


def source_at(name: str, shape: tuple[int, ...] | None = None) -> Source:
    """The source that somebody means by a dataset's name, a folder of images, or an .npz file.

    Args:
        name: Which of them.
        shape: Of the inputs that a folder is to give; None for the size it has by default.

    Raises `ArgumentError` if the images of a folder cannot have that shape, and `DataError` if it
    is the path of anything else.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        return source("imagefolder", path=str(path), **({} if shape is None else _square(shape)))
    if path.suffix == ".npz":
        return source("npz", path=str(path))
    if path.exists() or path.suffix or len(path.parts) > 1:
        fault = "is a file of another kind" if path.exists() else "does not exist"
        raise DataError(
            f"{name} {fault}; give a dataset's name, a folder of images or an .npz file"
        )
    return source(name)


def other_data(restored: Restored, name: str, *, data_dir: str | Path | None = None) -> Dataset:
    """Data that a network was not trained on, standardized as its own were.

    Args:
        restored: The network.
        name: A dataset's name, a folder of images, or an .npz file.
        data_dir: Where to look for the data first.

    Raises:
        DataError: If its classes or its inputs are not those of the network.
    """
    chosen = source_at(name, restored.shape)
    found = load(chosen, validation=0, test=0, standardize=False, places=Places(data_dir))
    if found.classes != restored.classes:
        raise DataError(
            f"{name} has the classes {_some(found.classes)}, the network knows "
            f"{_some(restored.classes)}; they must be the same, in the same order"
        )
    if found.shape != restored.shape:
        raise DataError(
            f"{name} has inputs of shape {found.shape}, the network takes {restored.shape}"
        )
    return replace(
        found,
        standardization=restored.standardization,
        train=_standardized(restored, found.train),
        validation=found.validation and _standardized(restored, found.validation),
        test=found.test and _standardized(restored, found.test),
    )


def _square(shape: tuple[int, ...]) -> dict[str, Any]:
    """The settings of a folder whose images are to have this shape."""
    require(
        len(shape) == 3 and shape[1] == shape[2],
        f"the network takes inputs of shape {shape}, but a folder of images gives square ones",
    )
    return {"size": shape[1], "channels": shape[0]}


def _standardized(restored: Restored, examples: Examples) -> Examples:
    return Examples(restored.standardization.apply(examples.inputs), examples.targets)


def _some(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:12])
    return shown + (f", ... ({len(names)})" if len(names) > 12 else "")
