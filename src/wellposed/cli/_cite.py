"""`wellposed cite RUN`: BibTeX of what a run has used, or of one method."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from wellposed.cli._base import Json, Trust, opened
from wellposed.cli._output import Output


def cite(
    run: Annotated[
        Path,
        typer.Argument(metavar="RUN|NAME", help="Run folder, or a name from `wellposed list`."),
    ],
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    r"""Print BibTeX of the methods, models and data that RUN has used, each once; or of NAME alone.

    \b
    Example:
      wellposed cite runs/mine >> thesis.bib
      wellposed cite newtoncg
    """
    from wellposed.recipe import Recipe, citations, citations_of

    out = Output(as_json=as_json)
    if not run.exists() and (known := citations_of(str(run))):
        _show(out, known)
        return
    folder = opened(run, trust=trust)
    found = list(citations(Recipe.parse(folder.recipe, str(run / "recipe.toml"))))
    parts = [folder, *folder.runs()]
    datas = [part.read_json("data.json") for part in parts if part.has("data.json")]
    found += [str(data.get("citation", "")) for data in datas if isinstance(data, dict)]
    _show(out, found)


def _show(out: Output, found: Iterable[str]) -> None:
    for text in dict.fromkeys(text for text in found if text):
        out.record({"event": "citation", "bibtex": text})
        out.line(text)
        out.line()
