"""How far a race is: a bar on a terminal, a line per run elsewhere, or JSON."""

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.progress import TextColumn

from wellposed.cli._bar import Bar
from wellposed.cli._output import Output

if TYPE_CHECKING:
    from wellposed.compare import Entry, Outcome
    from wellposed.train import Start, Step


class RaceProgress(Bar):
    """Watches a race and the training of each of its runs.

    The time that is left is estimated from the gradients taken in this call; a run that was
    finished before costs nothing.

    Args:
        out: Where lines and JSON go; the bar goes to standard error.
    """

    def __init__(self, out: Output) -> None:
        super().__init__(out, "race", TextColumn("{task.percentage:>3.0f} %"))
        self._entries: Sequence[Entry] = ()
        self._entry: Entry | None = None
        self._ended = 0
        self._steps_per_run = 0
        self._steps = 0  # taken in this call
        self._left_in_run = 0
        self._started = time.monotonic()

    def begin_race(self, entries: "Sequence[Entry]") -> None:
        """Remember how many runs there are."""
        self._entries = entries

    def begin_run(self, entry: "Entry") -> None:
        """Show which run is on."""
        self._entry = entry
        self._show()

    def begin(self, start: "Start") -> None:
        """Learn how long a run is."""
        self._steps_per_run = start.total_steps
        self._left_in_run = start.total_steps - start.step

    def step(self, step: "Step") -> None:  # noqa: ARG002 - only counted
        """Count an update."""
        self._steps += 1
        self._left_in_run -= 1
        if self._steps % 20 == 0:
            self._show()

    def record(self, record: Mapping[str, Any]) -> None:
        """Not shown: a race has many runs."""

    def end(self, outcome: Mapping[str, Any]) -> None:
        """Not shown: the race says it with `end_run`."""

    def end_run(self, entry: "Entry", found: "Outcome") -> None:
        """Say what the run has come to."""
        self._ended += 1
        self._left_in_run = 0
        count = f"{self._ended}/{len(self._entries)}"
        result = found.diverged or f"{found.part} error {100 * found.error:.2f} %"
        seconds = f", {found.cost['seconds']:.1f} s" if "seconds" in found.cost else ""
        left = f"; {self._left()}" if self._ended < len(self._entries) and self._left() else ""
        self._out.record(
            {
                "event": "run",
                "method": entry.method,
                "seed": entry.seed,
                "error": found.error,
                "part": found.part,
                "diverged": found.diverged or None,
                "cost": dict(found.cost),
            }
        )
        line = f"{count:>7}  {entry.method}, seed {entry.seed}: {result}{seconds}{left}"
        if self._bar is None:
            self._out.line(line)
        else:
            self._bar.console.print(line.partition(";")[0], highlight=False, markup=False)
            self._show()

    def _left(self) -> str:
        """The time that is left, or nothing while it is not known."""
        if not self._steps or not self._steps_per_run:
            return ""
        whole = len(self._entries) - self._ended - (1 if self._left_in_run else 0)
        steps = self._left_in_run + whole * self._steps_per_run
        seconds = steps * (time.monotonic() - self._started) / self._steps
        return f"about {seconds:.0f} s left" if seconds < 100 else f"{seconds / 60:.0f} min left"

    def _show(self) -> None:
        if self._bar is None or self._entry is None:
            return
        within = 1 - self._left_in_run / self._steps_per_run if self._steps_per_run else 0.0
        done = (self._ended + (within if self._left_in_run else 0)) / len(self._entries)
        task = self._bar.task_ids[0]
        words = (
            f"{self._entry.method}, seed {self._entry.seed} ({self._ended}/{len(self._entries)})"
        )
        self._bar.update(task, completed=done, description=words, left=self._left())
