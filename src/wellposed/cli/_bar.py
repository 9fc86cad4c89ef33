"""A bar with the time that is left, where somebody sits at a terminal."""

import sys
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeElapsedColumn

from wellposed.cli._output import Output

B = TypeVar("B", bound="Bar")


class Bar(AbstractContextManager["Bar"]):
    """Shows one task on standard error for as long as its block lasts, and nothing elsewhere.

    Args:
        out: Where lines and JSON go; with JSON there is no bar.
        name: Of the task; its field "left" is shown at the end.
        middle: Columns between the bar and the time spent.
    """

    def __init__(self, out: Output, name: str, *middle: ProgressColumn) -> None:
        self._out, self._name = out, name
        self._bar: Progress | None = None
        if sys.stderr.isatty() and not out.as_json:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                *middle,
                TimeElapsedColumn(),
                TextColumn("{task.fields[left]}"),
                console=Console(stderr=True),
                transient=True,
            )

    def __enter__(self: B) -> B:
        if self._bar is not None:
            self._bar.start()
            self._bar.add_task(self._name, total=1.0, left="")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
