"""What a command prints: text and tables for people, or one JSON object per line for machines."""

import json
import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table


class Output:
    """Standard output in one of two forms; every method prints in one of them only.

    Args:
        as_json: Whether machines read it.
    """

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json
        self._machines = sys.stdout
        self.console = Console(highlight=False)

    def line(self, text: str = "") -> None:
        """A line for people, never broken: it may hold a path to copy."""
        if not self.as_json:
            self.console.print(text, markup=False, soft_wrap=True)

    def paragraph(self, text: str) -> None:
        """Sentences for people, on a terminal broken between words."""
        if not self.as_json:
            wraps = self.console.is_terminal
            self.console.print(text, markup=False, soft_wrap=not wraps)

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]], right: int = 99) -> None:
        """A table for people; columns from number `right` on are numbers."""
        if self.as_json:
            return
        plain = _aligned([header, *rows], right)
        if not self.console.is_terminal:
            self.line(plain)
            return
        if right < len(header) and max(map(len, plain.splitlines())) > self.console.width:
            for row in rows:  # numbers are never cut: a row becomes a sentence
                cells = zip(header[1:], map(_printable, row[1:]), strict=True)
                self.paragraph(f"{_printable(row[0])}: {', '.join(f'{a} {b}' for a, b in cells)}")
            return
        table = Table(box=None, pad_edge=False, header_style="bold")
        for number, title in enumerate(header):
            numeric = number >= right
            table.add_column(title, justify="right" if numeric else "left", no_wrap=numeric)
        for row in rows:
            table.add_row(*(escape(_printable(cell)) for cell in row))
        self.console.print(table)

    def record(self, value: dict[str, Any]) -> None:
        """An object for machines, on a line of its own."""
        if self.as_json:
            self._machines.write(json.dumps(_finite(value), allow_nan=False) + "\n")
            self._machines.flush()

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Where machines read, what a user's own code prints goes to standard error."""
        with redirect_stdout(sys.stderr if self.as_json else sys.stdout):
            yield


def _aligned(rows: Sequence[Sequence[str]], right: int) -> str:
    """Rows as lines of equal columns, for files and pipes."""
    cells = [[_printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = (
        "  ".join(
            cell.rjust(width) if number >= right else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in cells
    )
    return "\n".join(line.rstrip() for line in lines)


def _printable(text: str) -> str:
    """The text without what controls a terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _finite(value: Any) -> Any:
    """The value with inf and nan as strings, which JSON can hold."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
