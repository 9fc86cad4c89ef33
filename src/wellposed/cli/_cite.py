"""`wellposed cite RUN`: BibTeX of what a run has used."""

from pathlib import Path
from typing import Annotated

import typer

from wellposed.cli._output import Output


def cite(
    run: Annotated[Path, typer.Argument(help="Run folder written by `wellposed train`.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print BibTeX of the methods, models and data that RUN has used, each once.

    \b
    Example:
      wellposed cite runs/mine >> thesis.bib
    """
    from wellposed.recipe import Recipe, citations
    from wellposed.runs import RunFolder

    folder = RunFolder.open(run)
    found = list(citations(Recipe.parse(folder.recipe, str(run / "recipe.toml"))))
    for part in [folder, *folder.runs()] if folder.kind == "race" else [folder]:
        if part.has("data.json"):
            found.append(str(part.read_json("data.json").get("citation", "")))
    out = Output(as_json=as_json)
    for text in dict.fromkeys(text for text in found if text):
        out.record({"event": "citation", "bibtex": text})
        out.line(text)
        out.line()
