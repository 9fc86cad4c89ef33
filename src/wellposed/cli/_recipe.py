"""`wellposed recipe`: print a recipe to copy and edit."""

from typing import Annotated

import typer


def recipe(
    preset: Annotated[
        str,
        typer.Argument(
            metavar="PRESET", help="A preset's name; `wellposed list recipes` shows them."
        ),
    ] = "default",
) -> None:
    r"""Print a recipe with comments, to copy and edit.

    \b
    Examples:
      wellposed recipe > mine.toml           every table, with comments
      wellposed recipe main > race.toml      what `wellposed train` runs without arguments
      wellposed train mine.toml
    """
    from wellposed.recipe import preset as text

    typer.echo(text(preset), nl=False)
