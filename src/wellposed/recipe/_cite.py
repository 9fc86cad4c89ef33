"""Whose work a run has used."""

import inspect

from wellposed import optim
from wellposed.recipe._arguments import Call
from wellposed.recipe._check import Parts, check
from wellposed.recipe._recipe import Recipe


def citations(recipe: Recipe) -> tuple[str, ...]:
    """BibTeX of the methods, models and penalties that a recipe names, each once.

    Those of the data are in the run's data.json, since a source may find out which files it has.

    Raises `RecipeError` if the recipe names what is not there.
    """
    runs = [recipe.run(m, 0) for m in recipe.methods] if recipe.compare else [recipe]
    found = [_citation(call) for run in runs for call in _calls(check(run))]
    return tuple(dict.fromkeys(text for text in found if text))


def _calls(parts: Parts) -> tuple[Call, ...]:
    schedules = tuple(call for call, _ in parts.schedule)
    return (
        parts.optimizer, *schedules, parts.model, parts.init, parts.loss, *parts.regularizer,
        *parts.augment,
    )  # fmt: skip


def _citation(call: Call) -> str:
    own = inspect.getattr_static(call.make, "citation", None)
    name = getattr(call.make, "__name__", "")
    text = own if isinstance(own, str) else optim.CITATIONS.get(name, "")
    return inspect.cleandoc(text)
