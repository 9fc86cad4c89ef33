"""`wellposed predict RUN IMAGE...`: what a trained network says about pictures."""

from pathlib import Path
from typing import Annotated

import typer

from wellposed.cli._base import Json, Run, Trust, opened
from wellposed.cli._output import Output


def predict(
    run: Run,
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE", help="PNG or JPEG files.")],
    invert: Annotated[
        bool,
        typer.Option("--invert", help="Swap dark and light, as for ink on white paper."),
    ] = False,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    r"""Classify pictures with the network of RUN; prints the label and the most likely classes.

    Pictures are converted to gray or color and resized as the network's own data are. Datasets
    of handwritten digits have light strokes on black: take --invert for ink on paper.

    \b
    Examples:
      wellposed predict runs/mine seven.png
      wellposed predict runs/mine scans/*.jpg --invert --json
    """
    from wellposed.recipe import restore

    restored = restore(opened(run, trust=trust))
    console = Output(as_json=as_json)
    rows = []
    for path in images:
        found = restored.probabilities(path, invert=invert)
        label = max(found, key=lambda name: found[name])
        console.record(
            {
                "event": "prediction",
                "image": str(path),
                "label": label,
                "probability": found[label],
                "probabilities": found,
            }
        )
        likely = sorted(found.items(), key=lambda item: -item[1])[:3]
        words = "  ".join(f"{name} {100 * p:.1f} %" for name, p in likely)
        rows.append((str(path), label, words))
    console.table(("image", "label", "most likely"), rows)
