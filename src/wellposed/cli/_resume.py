"""`wellposed resume RUN`: go on where a run or a race was cut off."""

import typer

from wellposed.cli._base import DataDir, Json, Run, Trust, opened
from wellposed.cli._output import Output


def resume(
    run: Run,
    data_dir: DataDir = None,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    r"""Go on with an interrupted run or race, from its newest checkpoint.

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
    opened(run, trust=trust)
    from wellposed.cli._job import carry_out

    raise typer.Exit(carry_out(folder, console, data_dir))
