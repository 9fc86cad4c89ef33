"""Which package a table of the recipe names things from."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from wellposed import data, init, losses, models, optim, regularizers
from wellposed.errors import RecipeError, UnknownNameError, WellposedError
from wellposed.recipe._lookup import fold, imported, public
from wellposed.recipe._origin import Origin, Path

_KINDS: dict[str, tuple[tuple[ModuleType, type], ...]] = {
    "data": ((data, data.Source),),
    "augment": ((data, data.Augmentation),),
    "model": ((models, nn.Module),),
    "init": ((init, init.Initializer),),
    "loss": ((losses, losses.Loss),),
    "regularizer": ((regularizers, regularizers.Regularizer),),
    "optimizer": ((optim, Optimizer),),
    "schedule": ((optim, optim.Schedule), (optim, LRScheduler)),
}
# Reached in another way (as package.module:function, by several tables, by [[schedule]] itself),
# or of no use here (they want functions, other schedulers, a metric at each step, or sparse
# gradients, which no model here has).
_INSIDE = frozenset({
    data.UserSource, regularizers.Sum, optim.GroupScheduler,
    optim.LambdaLR, optim.MultiplicativeLR, optim.ChainedScheduler, optim.SequentialLR,
    optim.ReduceLROnPlateau, optim.SparseAdam,
})  # fmt: skip
_WORDS = {"data": "dataset", "augment": "augmentation", "init": "initializer"}

TABLES = tuple(_KINDS)


def registry(table: str) -> dict[str, type]:
    """All classes that a table of the recipe can name, by their recipe names.

    Args:
        table: "data", "augment", "model", "init", "loss", "regularizer", "optimizer", "schedule".
    """
    return {name: made for name, made in _exported(table).items() if not _by_hand(made)}


def by_hand(table: str) -> dict[str, type]:
    """Those that only a program can use, by the names they would have."""
    return {name: made for name, made in _exported(table).items() if _by_hand(made)}


def named(table: str, name: str, origin: Origin, path: Path) -> Callable[..., Any]:
    """The class of that name, or the user's object `package.module:factory`.

    Raises:
        RecipeError: If there is none; with the place of the name.
    """
    try:
        if ":" in name:
            return imported(name)
        found = _exported(table).get(fold(name))
        if found is None:
            raise UnknownNameError(_WORDS.get(table, table), name, registry(table))
        if _by_hand(found):
            raise RecipeError(f"{found.__name__} cannot be run by a recipe: {_by_hand(found)}")
        return found
    except WellposedError as error:
        raise RecipeError(f"{origin.at((*path, 'name'))}: {error}") from error


def _exported(table: str) -> dict[str, type]:
    """Of the classes that a table is about, those that something outside of a program can use."""
    found: dict[str, type] = {}
    for package, kind in _KINDS[table]:
        found |= public(package, kind)
    return {name: made for name, made in found.items() if made not in _INSIDE}


def _by_hand(made: type) -> str:
    """Why only a program can use the class, and how: optimizers with closures of their own."""
    return str(getattr(made, "by_hand", ""))
