"""`wellposed cite RUN`: BibTeX of what a run has used."""

from wellposed.cli._base import Json, Run, Trust, opened
from wellposed.cli._output import Output


def cite(
    run: Run,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    r"""Print BibTeX of the methods, models and data that RUN has used, each once.

    \b
    Example:
      wellposed cite runs/mine >> thesis.bib
    """
    from wellposed.recipe import Recipe, citations

    folder = opened(run, trust=trust)
    found = list(citations(Recipe.parse(folder.recipe, str(run / "recipe.toml"))))
    parts = [folder, *folder.runs()]
    datas = [part.read_json("data.json") for part in parts if part.has("data.json")]
    found += [str(data.get("citation", "")) for data in datas if isinstance(data, dict)]
    out = Output(as_json=as_json)
    for text in dict.fromkeys(text for text in found if text):
        out.record({"event": "citation", "bibtex": text})
        out.line(text)
        out.line()
