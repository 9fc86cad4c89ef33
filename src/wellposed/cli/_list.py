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
    if kind == "optimizers":
        _optimizers(out)
        return
    rows = _classes(TABLES[kind]) if TABLES[kind] else _recipes()
    for name, about, arguments in rows:
        out.record({"name": name, "about": about, "arguments": arguments})
    out.table(("name", "what it is"), [(name, about) for name, about, _ in rows])


def _optimizers(out: Output) -> None:
    """A table for each family, its header saying what a step costs."""
    from wellposed.optim import FAMILIES, family
    from wellposed.recipe import by_hand, registry

    made = registry("optimizer")
    rows = _classes("optimizer")
    width = max(len(name) for name, _, _ in rows)
    for kind, cost in FAMILIES.items():
        members = [row for row in rows if family(made[row[0]]) == kind]
        for name, about, arguments in members:
            out.record({"name": name, "about": about, "arguments": arguments, "family": kind})
        lines = [(name.ljust(width), about) for name, about, _ in members]
        out.table((kind.upper(), cost), lines)
        out.line()
    programs = ", ".join(sorted(m.__name__ for m in by_hand("optimizer").values()))
    out.paragraph(f"In programs only, with closures of their own: {programs}.")


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
    text = re.sub(r"\\sqrt\{(\w+)\}", r"sqrt(\1)", text)
    text = text.replace(r"\leftarrow", "<-").replace(r"\|", "|").replace(r"\,", " ")
    text = re.sub(r"[${}]|\\(?=[a-z])", "", text)
    return text[:1].upper() + text[1:]
