"""`wellposed relax LOSS`: draw what relaxations make of a loss."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from wellposed.cli._base import Json
from wellposed.cli._output import Output
from wellposed.errors import ArgumentError, UnknownNameError

_POINTS = {1: 361, 2: 121}


def relax(
    loss: Annotated[
        str, typer.Argument(metavar="LOSS", help="double-well, rugged or two-valleys.")
    ] = "double-well",
    time: Annotated[
        list[float] | None,
        typer.Option(
            metavar="T", help="For how long; up to three times.  [default: the loss's own]"
        ),
    ] = None,
    beta: Annotated[
        float | None,
        typer.Option(help="Inverse temperature, viscous only.  [default: the loss's own]"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="An .svg or .html file, replaced if there.  [default: LOSS.svg]"
        ),
    ] = None,
    points: Annotated[
        int | None,
        typer.Option(help="Of each axis in the picture.  [default: 361, with two variables 121]"),
    ] = None,
    as_json: Json = False,
) -> None:
    r"""Draw LOSS and what becomes of it under four equations, and say where its minimum goes.

    Heat, viscous Hamilton-Jacobi (the local entropy of Entropy-SGD), Hamilton-Jacobi (the proximal
    methods) and its upward form (sharpness-aware minimization).

    \b
    Examples:
      wellposed relax double-well --time 0.1 --time 0.4 --out well.html
      wellposed relax two-valleys --beta 30
    """
    from wellposed.pde import TOY_LOSSES
    from wellposed.report import relaxations, relaxed_page, standalone
    from wellposed.runs import atomic_write

    if loss not in TOY_LOSSES:
        raise UnknownNameError("loss to look at", loss, TOY_LOSSES)
    toy = TOY_LOSSES[loss]
    path = Path(f"{loss}.svg") if out is None else out
    if path.suffix not in {".svg", ".html"}:
        raise ArgumentError(f"a figure is an .svg or an .html file, got --out {path}")
    times = sorted(set(time)) if time else list(toy.times)
    beta = toy.beta if beta is None else beta
    points = _POINTS[len(toy.box)] if points is None else points
    made = relaxations(toy, times, beta, points=points)
    if path.suffix == ".svg":
        atomic_write(path, standalone(made.figure))
    else:
        atomic_write(path, relaxed_page(made, _command(loss, times, beta, points, path)))
    output = Output(as_json=as_json)
    output.record({
        "event": "figure", "path": str(path), "times": times, "beta": beta, "points": points,
        "sentences": made.sentences, "caustic": made.caustic,
    })  # fmt: skip
    for sentence in [*made.sentences, made.caustic]:
        output.paragraph(sentence)
    output.line(str(path))


def _command(loss: str, times: list[float], beta: float, points: int, path: Path) -> str:
    """The command that makes the figure again."""
    said = [f"--time {t:g}" for t in times] + [f"--beta {beta:g}", f"--points {points}"]
    return " ".join(["wellposed relax", loss, *said, "--out", shlex.quote(str(path))])
