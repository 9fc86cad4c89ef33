"""What a command prints: text and tables for people, or one JSON object per line for machines."""

import json
import math
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table


class Output:
    """Standard output in one of two forms; every method prints in one of them only.

    Args:
        as_json: Whether machines read it.
    """

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json
        width = None if sys.stdout.isatty() else 200  # what is piped is never cut or wrapped
        self.console = Console(width=width, highlight=False, soft_wrap=True)

    def line(self, text: str = "") -> None:
        """A line for people."""
        if not self.as_json:
            self.console.print(text, markup=False)

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]], right: int = 99) -> None:
        """A table for people; columns from number `right` on are numbers."""
        if self.as_json:
            return
        table = Table(box=None, pad_edge=False, header_style="bold")
        for number, title in enumerate(header):
            numeric = number >= right
            table.add_column(title, justify="right" if numeric else "left", no_wrap=numeric)
        for row in rows:
            table.add_row(*map(_plain, row))
        self.console.print(table)

    def record(self, value: dict[str, Any]) -> None:
        """An object for machines, on a line of its own."""
        if self.as_json:
            sys.stdout.write(json.dumps(_finite(value), allow_nan=False) + "\n")
            sys.stdout.flush()


def _plain(text: str) -> str:
    """Text in which no bracket is taken for markup, and nothing controls the terminal."""
    printable = "".join(c if c.isprintable() else "?" for c in text)
    return printable.replace("[", r"\[")


def _finite(value: Any) -> Any:
    """The value with inf and nan as strings, which JSON can hold."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
