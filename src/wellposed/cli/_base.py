"""Arguments and options that several commands have."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from wellposed.runs import RunFolder

Run = Annotated[
    Path, typer.Argument(metavar="RUN", help="Run folder written by `wellposed train`.")
]
DataDir = Annotated[Path | None, typer.Option(metavar="DIR", help="Where to look for data first.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")]
Trust = Annotated[
    bool,
    typer.Option("--trust", help="Run the code of its own that RUN names, if it names any."),
]


def opened(path: Path, *, trust: bool) -> "RunFolder":
    """The run folder, unless its recipe would run code that the user has not agreed to.

    Raises:
        RecipeError: If it names objects as package.module:factory, and `trust` is not given.
        RunFolderError: If it is the folder of an audit of a foreign model.
    """
    from wellposed.errors import RecipeError, RunFolderError
    from wellposed.recipe import Recipe
    from wellposed.runs import RunFolder

    folder = RunFolder.open(path)
    if folder.kind == "audit":
        raise RunFolderError(
            f"{path} holds the findings of an audit, not a training; give a run's folder"
        )
    recipe = Recipe.parse(folder.recipe, str(folder.path / "recipe.toml"))
    if recipe.own_code and not trust:
        raise RecipeError(
            f"{path} names code of its own, {', '.join(recipe.own_code)}, which would be run; "
            "if that is yours, or you trust whoever it is from, add --trust"
        )
    return folder
