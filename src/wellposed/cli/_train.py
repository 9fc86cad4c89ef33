"""`wellposed train`: carry out a recipe in a folder of its own."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wellposed.cli._base import DataDir, Json
from wellposed.cli._output import Output

if TYPE_CHECKING:
    from wellposed.recipe import Recipe
    from wellposed.runs import RunFolder

MAIN = "main"


def train(
    recipe: Annotated[
        str | None,
        typer.Argument(metavar="RECIPE", help="A TOML file, or a preset's name. Default: main."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Replace a value; may be repeated."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Run folder to make. Default: runs/<time>-<recipe>."),
    ] = None,
    data_dir: DataDir = None,
    seed: Annotated[
        int | None,
        typer.Option(metavar="N", help="Seed; a race takes N, N+1, ... instead of its own."),
    ] = None,
    as_json: Json = False,
) -> None:
    r"""Train what RECIPE says; without one, race four optimizers on handwritten digits.

    \b
    Examples:
      wellposed train
      wellposed train mine.toml --set optimizer.lr=0.1 --set train.epochs=5
      wellposed train mine.toml --set optimizer=adamw --out runs/adamw
      wellposed train mnist-lenet --data-dir ~/data --seed 3

    \b
    --set takes TOML values, bare words are strings; lists of tables are counted from 0:
      --set schedule.0.warmup=0.1    --set 'model={name="mlp", hidden=[64, 64]}'
    """
    from wellposed.errors import Interrupted
    from wellposed.recipe import Recipe, resolve

    console = Output(as_json=as_json)
    name = MAIN if recipe is None else recipe
    chosen = Recipe.read(name)
    chosen = resolve(chosen.override([*(settings or []), *_seeds(chosen, seed)]))
    folder = _folder(chosen, out, Path(name).stem)
    if recipe is None:
        console.line(
            "No recipe given, so this is the preset `main`: LeNet on handwritten digits, four\n"
            "methods, three seeds. To make it yours: wellposed recipe main > mine.toml"
        )
    console.line(f"Run folder: {folder.path}")
    console.record({"event": "folder", "folder": str(folder.path)})
    from wellposed.cli._job import carry_out

    try:
        code = carry_out(folder, console, data_dir, chosen)
    except Interrupted:
        raise
    except Exception:
        folder.discard()  # if nothing was begun, so that the same --out can be given again
        raise
    raise typer.Exit(code)


def _seeds(recipe: "Recipe", seed: int | None) -> list[str]:
    """The settings that `--seed` stands for."""
    if seed is None:
        return []
    if recipe.compare is None:
        return [f"seed={seed}"]
    seeds = [seed + k for k in range(len(recipe.compare.seeds))]
    return [f"seed={seed}", f"compare.seeds={seeds}"]


def _folder(recipe: "Recipe", out: Path | None, name: str) -> "RunFolder":
    """The run folder of a checked recipe."""
    from wellposed.runs import RunFolder, fresh_path, provenance

    seeds = recipe.compare.seeds if recipe.compare else (recipe.seed,)
    return RunFolder.create(
        out or fresh_path(Path("runs"), name),
        kind="race" if recipe.compare else "run",
        recipe=recipe.to_toml(),
        provenance=provenance({"recipe": list(seeds)}, preset_or_file=name),
    )
