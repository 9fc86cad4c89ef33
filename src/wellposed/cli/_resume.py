"""`wellposed resume RUN`: go on where a run or a race was cut off."""

from pathlib import Path
from typing import Annotated

import typer

from wellposed.cli._output import Output


def resume(
    run: Annotated[Path, typer.Argument(help="Run folder written by `wellposed train`.")],
    data_dir: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where to look for data first.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per line.")
    ] = False,
) -> None:
    """Go on with an interrupted run or race, from its newest checkpoint.

    The result is that of the uninterrupted run, bit by bit. Of a race, finished runs are kept and
    not repeated.

    \b
    Example:
      wellposed resume runs/mine
    """
    from wellposed.runs import RunFolder, Status

    folder = RunFolder.open(run)
    console = Output(as_json=as_json)
    if folder.status is Status.DONE:
        console.line(f"{run} is done already; nothing was left to do.")
        console.record({"event": "done", "folder": str(run), "already_done": True})
        return
    from wellposed.cli._job import carry_out

    raise typer.Exit(carry_out(folder, console, data_dir))
