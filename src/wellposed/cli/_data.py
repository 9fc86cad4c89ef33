"""`wellposed data`: which datasets there are, where they lie, and whether they are sound."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wellposed.cli._base import DataDir, Json
from wellposed.cli._output import Output

if TYPE_CHECKING:
    from wellposed.data import Dataset, Places, Source

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="Name of a dataset; `wellposed data list` shows them.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="An argument of the dataset, such as path=..."),
]

SHOW = """Show parts, classes, range and license of a dataset.

\b
Examples:
  wellposed data show digits
  wellposed data show imagefolder --set path=photos --set size=32
"""

data = typer.Typer(
    help="List, fetch, check and show datasets.", no_args_is_help=True, rich_markup_mode=None
)


@data.command("list", short_help="List all datasets, and where each lies.")
def show_list(data_dir: DataDir = None, as_json: Json = False) -> None:
    """List all datasets, and where each would be read from."""
    from wellposed.data import Downloadable, Places
    from wellposed.errors import WellposedError
    from wellposed.recipe import registry, source

    places = Places(data_dir)
    console = Output(as_json=as_json)
    rows = []
    for name, kind in sorted(registry("data").items()):
        try:
            found = source(name).find(places)
            absent = "not here; wellposed data fetch" if issubclass(kind, Downloadable) else "no"
        except WellposedError:  # it needs arguments, such as a path
            found, absent = None, "yours; name it with path = ..."
        about = (kind.__doc__ or "").strip().partition("\n")[0]
        console.record({"name": name, "about": about, "found": found})
        rows.append((name, about, found or absent))
    console.table(("name", "what it is", "where"), rows)


@data.command("fetch", short_help="Download a dataset into the cache.")
def fetch(name: Name, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Download a dataset into the cache, unless it is somewhere already, and check it."""
    from wellposed.data import Downloadable
    from wellposed.errors import DataError

    found, places = _find(name, None, data_dir)
    if not isinstance(found, Downloadable):
        raise DataError(f"{name} is not published for download; there is nothing to fetch")
    where = found.fetch(places)
    console = Output(as_json=as_json)
    console.record({"event": "fetched", "name": name, "where": where})
    console.line(f"{name} is in {where}")


@data.command("check", short_help="Say whether a dataset is sound.")
def check(
    name: Name, settings: Settings = None, data_dir: DataDir = None, as_json: Json = False
) -> None:
    """Read a dataset wholly, and say whether it is sound."""
    found = _load(name, settings, data_dir)
    console = Output(as_json=as_json)
    described = found.describe()
    console.record({"event": "checked", **described})
    counts = ", ".join(f"{len(part)} {part_name}" for part_name, part in found.parts.items())
    console.line(f"{found.name} is sound: {counts}; read from {found.origin}")
    for part_name, part in found.parts.items():
        console.line(f"  sha256 of {part_name}: {part.sha256}")


@data.command("show", help=SHOW, short_help="Show parts, classes and license.")
def show(
    name: Name, settings: Settings = None, data_dir: DataDir = None, as_json: Json = False
) -> None:
    """Show parts, classes, range and license of a dataset."""
    import torch

    found = _load(name, settings, data_dir)
    console = Output(as_json=as_json)
    counts = {
        part: torch.bincount(examples.targets, minlength=found.num_classes).tolist()
        for part, examples in found.parts.items()
    }
    console.record({"event": "data", **found.describe(), "counts": counts})
    low, high = found.input_range
    console.line(f"{found.name}: inputs of shape {found.shape}, values from {low:g} to {high:g}")
    console.line(f"from {found.origin}; license: {found.license}")
    console.line()
    rows = [
        (label, *(str(count[number]) for count in counts.values()))
        for number, label in enumerate(found.classes)
    ]
    total = ("total", *(str(sum(count)) for count in counts.values()))
    console.table(("class", *counts), [*rows, total], right=1)


def _find(name: str, settings: list[str] | None, data_dir: Path | None) -> "tuple[Source, Places]":
    from wellposed.data import Places
    from wellposed.recipe import source

    return source(name, settings or ()), Places(data_dir)


def _load(name: str, settings: list[str] | None, data_dir: Path | None) -> "Dataset":
    from wellposed.data import load

    found, places = _find(name, settings, data_dir)
    return load(found, places=places)
