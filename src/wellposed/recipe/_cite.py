"""Whose work a run has used."""

import inspect
from collections.abc import Callable
from typing import Any

from wellposed import optim
from wellposed.recipe._arguments import Call
from wellposed.recipe._check import Parts, check
from wellposed.recipe._lookup import fold
from wellposed.recipe._recipe import Recipe
from wellposed.recipe._registry import TABLES, by_hand, registry


def citations(recipe: Recipe) -> tuple[str, ...]:
    """BibTeX of the methods, models and penalties that a recipe names, each once.

    Those of the data are in the run's data.json, since a source may find out which files it has.

    Raises `RecipeError` if the recipe names what is not there.
    """
    runs = [recipe.run(m, 0) for m in recipe.methods] if recipe.compare else [recipe]
    found = [_citation(call.make) for run in runs for call in _calls(check(run))]
    return tuple(dict.fromkeys(text for text in found if text))


def citations_of(name: str) -> tuple[str, ...]:
    """BibTeX of whatever a recipe, or a program, calls by that name; empty if there is nothing.

    Args:
        name: As `wellposed list` has it, such as "sam"; case, "-" and "_" do not matter.
    """
    made = [kind(table).get(fold(name)) for table in TABLES for kind in (registry, by_hand)]
    return tuple(dict.fromkeys(text for one in made if one and (text := _citation(one))))


def _calls(parts: Parts) -> tuple[Call, ...]:
    schedules = tuple(call for call, _ in parts.schedule)
    inside = tuple(a for a in parts.optimizer.arguments.values() if isinstance(a, Call))
    return (
        parts.optimizer, *inside, *schedules, parts.model, parts.init, parts.loss,
        *parts.regularizer, *parts.augment,
    )  # fmt: skip


def _citation(make: Callable[..., Any]) -> str:
    own = inspect.getattr_static(make, "citation", None)
    name = getattr(make, "__name__", "")
    text = own if isinstance(own, str) else optim.CITATIONS.get(name, "")
    return inspect.cleandoc(text)
