"""A recipe against the signatures of all that it names, before anything is built or read."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from wellposed.data import UserSource, load
from wellposed.errors import RecipeError
from wellposed.optim import Schedule
from wellposed.recipe._arguments import Call, bind, signature
from wellposed.recipe._part import Part
from wellposed.recipe._recipe import Recipe
from wellposed.recipe._registry import named
from wellposed.train import Plan

# What `build` fills in, so that a recipe may not.
_PROVIDED = {
    "data": (),
    "augment": (),
    "model": ("shape", "classes"),
    "init": (),
    "loss": (),
    "regularizer": (),
    "optimizer": ("params", "prox_"),
    "schedule": ("optimizer",),
}
_FILLED = {"schedule": ("T_max", "total_steps")}
# Of `load`, set in [data].
_LOADING = ("validation", "test", "examples", "wrong_labels", "standardize", "memory_budget")


@dataclass(frozen=True)
class Parts:
    """Every table of a recipe as a constructor with checked arguments.

    Args:
        source: Of the data.
        loading: Keyword arguments of `wellposed.data.load`.
        augment: Augmentations.
        model: The network.
        init: Its initializer.
        loss: The loss.
        regularizer: Penalties.
        optimizer: The method.
        schedule: Schedules, each with the key of the optimizer's groups that it sets.
        plan: `wellposed.train.Plan`.
    """

    source: Call
    loading: Mapping[str, Any]
    augment: tuple[Call, ...]
    model: Call
    init: Call
    loss: Call
    regularizer: tuple[Call, ...]
    optimizer: Call
    schedule: tuple[tuple[Call, str], ...]
    plan: Call


def check(recipe: Recipe) -> Parts:
    """Look up every name of a single run's recipe and check all arguments.

    Raises `RecipeError` if a name or an argument is unknown, missing or of the wrong type; a
    single sentence with file, line and the nearest right one.
    """
    source, loading = _data(recipe)
    optimizer = _optimizer(recipe, recipe.optimizer, ("optimizer",))
    return Parts(
        source=source,
        loading=loading,
        augment=_calls(recipe, "augment"),
        model=_call(recipe, "model", recipe.model, ("model",)),
        init=_call(recipe, "init", recipe.init, ("init",)),
        loss=_call(recipe, "loss", recipe.loss, ("loss",)),
        regularizer=_calls(recipe, "regularizer"),
        optimizer=optimizer,
        schedule=tuple(_schedule(recipe, index) for index in range(len(recipe.schedule))),
        plan=bind(
            Plan, recipe.train, origin=recipe.origin, path=("train",), provided=("seed", "augment")
        ),
    )


def check_all(recipe: Recipe) -> None:
    """Check a recipe, and each method of it if it is a race.

    Raises `RecipeError` as `check`.
    """
    if recipe.compare is None:
        check(recipe)
        return
    for method in recipe.methods:
        check(recipe.run(method, recipe.compare.seeds[0]))


def resolve(recipe: Recipe) -> Recipe:
    """The recipe as it is kept in the run folder: checked, with absolute paths to the data.

    Raises `RecipeError` as `check`.
    """
    check_all(recipe)
    asked = signature(named("data", recipe.data.name, recipe.origin, ("data",)))
    tables = recipe.tables()
    for key, value in recipe.data.arguments.items():
        if key in asked and _is_path(asked[key]) and Path(value).expanduser().exists():
            tables["data"][key] = str(Path(value).expanduser().resolve())
    return Recipe.from_tables(tables, recipe.origin)


def source_of(recipe: Recipe) -> Call:
    """The source of a recipe's data, the rest of the recipe unseen.

    Raises `RecipeError` if `[data]` names what is not there.
    """
    return _data(recipe)[0]


def _data(recipe: Recipe) -> tuple[Call, Mapping[str, Any]]:
    """The source and the arguments of `load`; messages offer both kinds of keys."""
    name, origin, path = recipe.data.name, recipe.origin, ("data",)
    make = named("data", name, origin, path)
    own = signature(make)
    shared = {key: p for key, p in signature(load).items() if key in _LOADING and key not in own}

    def both(**arguments: Any) -> None:
        """Stands for source and `load` together."""

    both.__name__ = str(getattr(make, "__name__", name))
    asked = [p for key, p in own.items() if key != "places"] + list(shared.values())
    both.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [p.replace(kind=max(p.kind, p.KEYWORD_ONLY)) for p in asked if p.kind != p.VAR_POSITIONAL]
    )
    found = bind(both, recipe.data.arguments, origin=origin, path=path).arguments
    mine = {key: value for key, value in found.items() if key not in shared}
    loading = {key: value for key, value in found.items() if key in shared}
    if ":" in name:
        make, mine = UserSource, {"function": name, "arguments": mine}
    return Call(make, mine, origin, path), loading


def _optimizer(recipe: Recipe, part: Part, path: tuple[str | int, ...]) -> Call:
    """An optimizer; `base = "adamw"`, or a table, names the one inside a relaxation."""
    arguments = dict(part.arguments)
    base = arguments.pop("base", None)
    if base is None:
        return _call(recipe, "optimizer", part, path)
    if "base" not in signature(named("optimizer", part.name, recipe.origin, path)):
        return _call(recipe, "optimizer", part, path)  # which says that there is no such argument
    inside = Recipe.from_tables(recipe.tables() | {"optimizer": base}, recipe.origin).optimizer
    inner = named("optimizer", inside.name, recipe.origin, (*path, "base"))
    bound = bind(
        inner,
        inside.arguments,
        origin=recipe.origin,
        path=(*path, "base"),
        provided=(*_PROVIDED["optimizer"], "lr"),
    )
    outer = _call(recipe, "optimizer", Part(name=part.name, **arguments), path)
    return replace(outer, arguments={**outer.arguments, "base": bound})


def _calls(recipe: Recipe, table: str) -> tuple[Call, ...]:
    parts = getattr(recipe, table)
    return tuple(_call(recipe, table, part, (table, i)) for i, part in enumerate(parts))


def _call(recipe: Recipe, table: str, part: Part, path: tuple[str | int, ...]) -> Call:
    make = named(table, part.name, recipe.origin, path)
    return bind(
        make,
        part.arguments,
        origin=recipe.origin,
        path=path,
        provided=_PROVIDED[table],
        filled=_FILLED.get(table, ()),
    )


def _schedule(recipe: Recipe, index: int) -> tuple[Call, str]:
    """A schedule of ours with the key it sets, or one of torch's, which all set lr."""
    part, path = recipe.schedule[index], ("schedule", index)
    arguments = dict(part.arguments)
    make = named("schedule", part.name, recipe.origin, path)
    key = "lr"
    if _is_ours(make):
        key = arguments.pop("key", "lr")
        if not isinstance(key, str):
            raise RecipeError(
                f"{recipe.origin.at((*path, 'key'))}: schedule.{index}.key is {key}; it should be "
                "the name of a key of the optimizer's groups, such as 'lr'"
            )
    return _call(recipe, "schedule", Part(name=part.name, **arguments), path), key


def _is_ours(make: Callable[..., Any]) -> bool:
    return isinstance(make, type) and issubclass(make, Schedule)


def _is_path(parameter: inspect.Parameter) -> bool:
    return parameter.annotation is Path or Path in get_args(parameter.annotation)
