"""`wellposed report RUN`: write the report of a run or a race again."""

from wellposed.cli._base import Json, Run
from wellposed.cli._output import Output


def report(
    run: Run,
    as_json: Json = False,
) -> None:
    """Write RUN/report.html from what is in the folder, and print its path.

    Works for unfinished runs too, and on machines without torch.
    """
    from wellposed.report import render
    from wellposed.runs import RunFolder

    path = render(RunFolder.open(run))
    out = Output(as_json=as_json)
    out.record({"event": "report", "path": str(path)})
    out.line(str(path))
