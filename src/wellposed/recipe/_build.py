"""A recipe becomes a problem, an optimizer and a plan."""

import functools
import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import torch
from torch import nn
from torch.optim import Optimizer

from wellposed.data import Dataset, Places, load
from wellposed.errors import RecipeError, WellposedError, require
from wellposed.optim import GroupScheduler, Schedule
from wellposed.problem import Problem
from wellposed.recipe._arguments import Call, accepts, signature
from wellposed.recipe._check import Parts, check
from wellposed.recipe._origin import dotted
from wellposed.recipe._recipe import Recipe
from wellposed.regularizers import Regularizer
from wellposed.train import Plan

_INIT_STREAM = 0x1717  # the initializer's stream of random numbers, apart from the model's


@final
@dataclass(frozen=True)
class Build:
    """What `wellposed.train.fit` takes.

    Args:
        problem: Data, model, loss and regularizer.
        optimizer: Over the model's parameters.
        schedulers: One per `[[schedule]]`, to be stepped after each update.
        plan: How long, and how.
    """

    problem: Problem
    optimizer: Optimizer
    schedulers: tuple[Any, ...]
    plan: Plan


def build(
    recipe: Recipe, *, data_dir: str | Path | None = None, data: Dataset | None = None
) -> Build:
    """Everything the recipe names, constructed; the recipe is checked before the data are read.

    Model and initial weights depend on `recipe.seed` alone, not on torch's global generator,
    which is left as it was.

    Args:
        recipe: Of a single run; see `Recipe.run` for one run of a race.
        data_dir: Where to look for the data first.
        data: The dataset, if it is read already: as `dataset` returns it for this recipe.

    Raises `RecipeError` if a name, an argument or a combination is not possible.
    """
    parts = check(recipe)
    plan = parts.plan(seed=recipe.seed, augment=tuple(call() for call in parts.augment))
    data = data or _load(parts, recipe.seed, data_dir)
    model = network(parts, recipe, data.shape, data.num_classes)
    _initialize(parts, recipe.seed, model, data)
    regularizer = _sum([call() for call in parts.regularizer])
    optimizer, rest = _optimizer(parts.optimizer, model, regularizer, recipe.seed)
    total = plan.total_steps(len(data.train))
    return Build(
        problem=Problem(data=data, model=model, loss=parts.loss(), regularizer=rest),
        optimizer=optimizer,
        schedulers=tuple(_scheduler(call, key, optimizer, total) for call, key in parts.schedule),
        plan=plan,
    )


def dataset(recipe: Recipe, *, data_dir: str | Path | None = None) -> Dataset:
    """The data of a recipe, read, split and standardized.

    Raises `RecipeError` if the recipe names no such data.
    """
    return _load(check(recipe), recipe.seed, data_dir)


def network(parts: Parts, recipe: Recipe, shape: Sequence[int], classes: int) -> nn.Module:
    """The model with the weights it draws for itself from the recipe's seed.

    Raises:
        RecipeError: If what the recipe names makes something that is no `nn.Module`.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        model = parts.model(shape=tuple(shape), classes=classes)
    if not isinstance(model, nn.Module):
        raise RecipeError(
            f"{recipe.origin.at(('model', 'name'))}: {recipe.model.name} gives a "
            f"{type(model).__name__}; a model is a torch.nn.Module"
        )
    return model


def _load(parts: Parts, seed: int, data_dir: str | Path | None) -> Dataset:
    call = replace(parts.source, make=load, arguments=parts.loading)
    found: Dataset = call(parts.source(), seed=seed, places=Places(data_dir))
    return found


def _initialize(parts: Parts, seed: int, model: nn.Module, data: Dataset) -> None:
    generator = torch.Generator().manual_seed(seed ^ _INIT_STREAM)
    rows = torch.randperm(len(data.train), generator=generator)[:1024]
    inputs, _ = data.train.take(rows)
    with torch.no_grad():
        parts.init()(model, inputs, generator)


def _sum(terms: Sequence[Regularizer]) -> Regularizer | None:
    return functools.reduce(operator.add, terms) if terms else None


def _optimizer(
    call: Call, model: nn.Module, regularizer: Regularizer | None, seed: int
) -> tuple[Optimizer, Regularizer | None]:
    """The optimizer, and what is left of R in the objective: nothing, if it takes R's prox."""
    provided: dict[str, Any] = {}
    asked = signature(call.make)
    if "noise_seed" in asked and "noise_seed" not in call.arguments:
        provided["noise_seed"] = seed
    if "prox_" in asked:
        provided["prox_"] = _prox(call, regularizer)
        regularizer = None
    trainable: Iterable[nn.Parameter] = [p for p in model.parameters() if p.requires_grad]
    return call(trainable, **provided), regularizer


def _prox(call: Call, regularizer: Regularizer | None) -> Any:
    prox = getattr(regularizer, "prox_", None)
    if prox is None:
        found = type(regularizer).__name__ if regularizer else "no [[regularizer]]"
        raise RecipeError(
            f"{call.origin.at(call.path)}: {call.make.__name__} needs a regularizer with a "
            f"proximal map, found {found}; add one such as [[regularizer]] with name = 'l1'"
        )
    return prox


def _scheduler(call: Call, key: str, optimizer: Optimizer, total: int) -> Any:
    if not isinstance(call.make, type) or not issubclass(call.make, Schedule):
        asked = signature(call.make)
        steps = {"total_steps": total, "T_max": total}
        missing = {k: v for k, v in steps.items() if accepts(asked, k) and k not in call.arguments}
        if getattr(call.make, "__module__", "").startswith("torch."):
            replace(call, make=_tried(call.make))(**missing)
        return call(optimizer, **missing)
    schedule = call()
    try:
        return GroupScheduler(optimizer, schedule, total, key=key)
    except WellposedError as error:
        raise RecipeError(f"{call.origin.at(call.path)}: [{dotted(call.path)}]: {error}") from error


def _tried(make: Callable[..., Any]) -> Callable[..., None]:
    """Makes one of torch's schedulers and steps it, for nothing: some faults show only then."""

    def attempt(**arguments: Any) -> None:
        optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1, momentum=0.9)
        scheduler = make(optimizer, **arguments)
        optimizer.step()
        scheduler.step()
        rates = [float(group["lr"]) for group in optimizer.param_groups]
        require(min(rates) >= 0, f"it makes a step size of {min(rates):g}; try other arguments")

    return attempt
