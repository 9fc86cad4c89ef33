"""`wellposed list KIND`: what a recipe can name."""

import inspect
from enum import StrEnum
from typing import Annotated

import typer

from wellposed.cli._output import Output


class Kind(StrEnum):
    """What can be listed."""

    OPTIMIZERS = "optimizers"
    MODELS = "models"
    LOSSES = "losses"
    REGULARIZERS = "regularizers"
    DATASETS = "datasets"
    AUGMENTATIONS = "augmentations"
    INITIALIZERS = "initializers"
    SCHEDULES = "schedules"
    RECIPES = "recipes"


_TABLES = {
    Kind.OPTIMIZERS: "optimizer", Kind.MODELS: "model", Kind.LOSSES: "loss",
    Kind.REGULARIZERS: "regularizer", Kind.DATASETS: "data", Kind.AUGMENTATIONS: "augment",
    Kind.INITIALIZERS: "init", Kind.SCHEDULES: "schedule",
}  # fmt: skip


def show_list(
    kind: Annotated[Kind, typer.Argument(help="What to list.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List what a recipe can name, one line each.

    Besides these, any table takes an object of yours: name = "package.module:factory".
    """
    out = Output(as_json=as_json)
    rows = _recipes() if kind is Kind.RECIPES else _classes(_TABLES[kind])
    for name, about, arguments in rows:
        out.record({"name": name, "about": about, "arguments": arguments})
    out.table(("name", "what it is"), [(name, about) for name, about, _ in rows])


def _recipes() -> list[tuple[str, str, str]]:
    from wellposed.recipe import presets

    return [(name, title, "") for name, title in presets().items()]


def _classes(table: str) -> list[tuple[str, str, str]]:
    from wellposed.recipe import registry

    return [
        (name, _first_line(made), str(inspect.signature(made)))
        for name, made in sorted(registry(table).items())
    ]


def _first_line(made: type) -> str:
    text = (inspect.getdoc(made) or "").strip().splitlines()
    return text[0] if text else ""
