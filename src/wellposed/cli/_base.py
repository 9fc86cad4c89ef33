"""Arguments and options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

Run = Annotated[
    Path, typer.Argument(metavar="RUN", help="Run folder written by `wellposed train`.")
]
DataDir = Annotated[Path | None, typer.Option(metavar="DIR", help="Where to look for data first.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")]
