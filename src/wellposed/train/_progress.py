"""How training goes, for people at a terminal, for people reading a log, and for machines."""

import json
import math
import sys
import time
from collections.abc import Mapping
from typing import Any, TextIO, final

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as Bar

from wellposed.train._observer import Observer, Start
from wellposed.train._steps import Step

_REFRESH = 0.25  # seconds


def progress(*, json: bool = False, console: Console | None = None) -> Observer:
    """The observer that suits: a bar on a terminal, one line per epoch elsewhere, or JSON.

    Args:
        json: One JSON object per record on standard output, and nothing for people.
        console: Where to draw; None: standard error, so that standard output stays for results.
    """
    if json:
        return ProgressJson()
    console = console or Console(stderr=True)
    return ProgressBar(console) if console.is_terminal else ProgressLines(console)


@final
class ProgressBar:
    """A bar with objective, error, examples per second, and what is left of epoch and run.

    It is drawn four times a second, and only then the objective is fetched from the device; all
    other steps cost it a look at the clock.

    Args:
        console: A terminal.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[numbers]}"),
            console=console or Console(stderr=True),
            auto_refresh=False,
            transient=True,
            expand=True,
        )
        self._pace = _Pace()
        self._task = TaskID(0)
        self._next = 0.0
        self._error = ""

    def begin(self, start: Start) -> None:
        """Draw the empty bar."""
        self._pace = _Pace(start)
        self._bar.start()
        self._task = self._bar.add_task(
            start.name, total=start.total_steps, completed=start.step, numbers=""
        )
        self._bar.refresh()

    def step(self, step: Step) -> None:
        """Draw, if a quarter of a second has passed."""
        self._pace.examples += step.examples
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + _REFRESH
        objective = step.objective.item()
        numbers = f"objective {objective:.4g}{self._error}  {self._pace.describe(step.index)}"
        self._bar.update(
            self._task,
            completed=step.index,
            description=self._pace.epoch(step.index),
            numbers=numbers,
        )
        self._bar.refresh()

    def record(self, record: Mapping[str, Any]) -> None:
        """Remember the error to show."""
        if record.get("error") is not None:
            name = "error" if record["event"] == "train" else f"{record['split']} error"
            self._error = f"  {name} {100 * record['error']:.2f} %"

    def end(self, _: Mapping[str, Any]) -> None:
        """Take the bar away."""
        self._bar.stop()


@final
class ProgressLines:
    """One line per epoch.

    Args:
        console: Where to print.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._pace = _Pace()
        self._line = ""

    def begin(self, start: Start) -> None:
        """Say what is trained, and how."""
        self._pace = _Pace(start)
        how = ", ".join(
            str(start.choices[k]) for k in ("device", "precision") if k in start.choices
        )
        resumed = f", from step {start.step}" if start.step else ""
        self._print(f"{start.name}: {start.total_steps} steps on {how}{resumed}")

    def step(self, step: Step) -> None:
        """Print the line of the epoch before, which now is complete."""
        self._pace.examples += step.examples
        self._flush()

    def record(self, record: Mapping[str, Any]) -> None:
        """Note what goes into the line of an epoch."""
        at = record["step"]
        if at % self._pace.start.steps_per_epoch:
            return
        if record["event"] == "train":
            self._line = f"{self._pace.epoch(at)}  objective {record['objective']:.4f}"
            self._line += _percent("error", record["error"])
            self._line += f"  {self._pace.describe(at)}"
        else:
            self._line += _percent(f"{record['split']} error", record["error"])

    def end(self, _: Mapping[str, Any]) -> None:
        """Print what is left."""
        self._flush()

    def _flush(self) -> None:
        if self._line:
            self._print(self._line)
            self._line = ""

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


@final
class ProgressJson:
    """One JSON object per line: "begin", each record of the log, "end".

    Args:
        file: Where to; None: standard output.
    """

    def __init__(self, file: TextIO | None = None) -> None:
        self._file = file

    def begin(self, start: Start) -> None:
        """Write {"event": "begin", ...}."""
        self._write({"event": "begin"} | {k: getattr(start, k) for k in start.__slots__})

    def step(self, _: Step) -> None:
        """Nothing: steps are summed up in records."""

    def record(self, record: Mapping[str, Any]) -> None:
        """Write the record."""
        self._write(record)

    def end(self, outcome: Mapping[str, Any]) -> None:
        """Write {"event": "end", ...}."""
        self._write({"event": "end"} | dict(outcome))

    def _write(self, value: Mapping[str, Any]) -> None:
        file = self._file or sys.stdout
        file.write(json.dumps(_strict(value), allow_nan=False) + "\n")
        file.flush()


class _Pace:
    """How fast it goes, and how long it will take, from the updates made in this process."""

    def __init__(self, start: Start | None = None) -> None:
        self.start = start or Start("", 0, 1, 1, {}, "")
        self.examples = 0
        self._since = time.monotonic()

    def epoch(self, step: int) -> str:
        """Which epoch a step belongs to: "epoch  3/20"."""
        per_epoch = self.start.steps_per_epoch
        total = self.start.total_steps // per_epoch
        return f"epoch {-(-step // per_epoch):{len(str(total))}d}/{total}"

    def describe(self, step: int) -> str:
        """Examples per second, and the time left in the epoch and in the run."""
        seconds = max(time.monotonic() - self._since, 1e-9)
        per_step = seconds / max(step - self.start.step, 1)
        in_epoch = -step % self.start.steps_per_epoch
        whole = _duration(per_step * (self.start.total_steps - step))
        rest = f"{whole} left"
        if in_epoch:
            rest = f"epoch {_duration(per_step * in_epoch)}, all {whole} left"
        return f"{self.examples / seconds:,.0f} examples/s  {rest}"


def _duration(seconds: float) -> str:
    """Such as "0:07", "12:34" or "1:02:03"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _percent(name: str, error: float | None) -> str:
    """Such as "  error 7.81 %"; nothing where there is no error."""
    return "" if error is None else f"  {name} {100 * error:.2f} %"


def _strict(value: Any) -> Any:
    """The value with inf and nan as strings, as in the log."""
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(value)
    if isinstance(value, Mapping):
        return {str(key): _strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(item) for item in value]
    return value
