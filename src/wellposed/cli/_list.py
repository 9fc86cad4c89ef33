"""`wellposed list KIND`: what a recipe can name."""

import inspect
import re
from typing import Annotated

import typer

from wellposed.cli._base import Json
from wellposed.cli._output import Output
from wellposed.errors import UnknownNameError

TABLES = {
    "optimizers": "optimizer",
    "models": "model",
    "losses": "loss",
    "regularizers": "regularizer",
    "datasets": "data",
    "augmentations": "augment",
    "initializers": "init",
    "schedules": "schedule",
    "recipes": "",
}


def show_list(
    kind: Annotated[str, typer.Argument(metavar="KIND", help=f"One of {', '.join(TABLES)}.")],
    as_json: Json = False,
) -> None:
    """List what a recipe can name, one line each.

    Besides these, any table takes an object of yours: name = "package.module:factory".
    """
    out = Output(as_json=as_json)
    if kind not in TABLES:
        raise UnknownNameError("kind", kind, TABLES)
    rows = _classes(TABLES[kind]) if TABLES[kind] else _recipes()
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
    """The first line of the docstring, its formulas readable without TeX."""
    text = (inspect.getdoc(made) or "").strip().partition("\n")[0]
    text = text.removeprefix("Implements the ").removeprefix("Implements ")
    text = re.sub(r"\\t?frac(\w|\{[^}]*\})(\w|\{[^}]*\})", r"\1/\2", text)
    text = text.replace(r"\leftarrow", "<-").replace(r"\|", "|").replace(r"\,", " ")
    text = re.sub(r"[${}]|\\(?=[a-z])", "", text)
    return text[:1].upper() + text[1:]
