"""`wellposed evaluate RUN`: measure a trained network again, or on other data."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wellposed.cli._base import DataDir, Json, Run, Trust, opened
from wellposed.cli._output import Output

if TYPE_CHECKING:
    from wellposed.data import Dataset
    from wellposed.recipe import Restored


def evaluate(
    run: Run,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|PATH",
            help="Other data: a dataset's name, a folder of images, or an .npz file.",
        ),
    ] = None,
    data_dir: DataDir = None,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    r"""Measure the network of RUN on its own data again, or on other data.

    Other data are standardized as the network's own were, and must have the same classes and the
    same shape of inputs; images are resized.

    \b
    Examples:
      wellposed evaluate runs/mine
      wellposed evaluate runs/mine --data photos/
    """
    from wellposed.recipe import restore
    from wellposed.stats import wilson
    from wellposed.train import evaluate as measure

    restored = restore(opened(run, trust=trust))
    dataset = _dataset(restored, data, data_dir)
    loss = restored.parts.loss()
    console = Output(as_json=as_json)
    rows = []
    for name, examples in dataset.parts.items():
        found = measure(restored.model, examples, loss)
        low, high = wilson(round(found.error * found.n), found.n, 0.95)
        console.record(
            {
                "event": "evaluation",
                "data": dataset.name,
                "split": name,
                "n": found.n,
                "loss": found.loss,
                "error": found.error,
                "error_interval": [low, high],
                "level": 0.95,
            }
        )
        error = f"{100 * found.error:.2f} % [{100 * low:.2f}, {100 * high:.2f}]"
        rows.append((name, str(found.n), f"{found.loss:.4f}", error))
    console.line(f"{run} on {dataset.name}; errors with 95 % intervals")
    console.table(("part", "examples", "loss", "error"), rows, right=1)


def _dataset(restored: "Restored", name: str | None, data_dir: Path | None) -> "Dataset":
    """The run's own data, or others made ready as those were."""
    from wellposed.recipe import dataset, other_data

    if name is None:
        return dataset(restored.recipe, data_dir=data_dir)
    return other_data(restored, name, data_dir=data_dir)
