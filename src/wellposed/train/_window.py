"""The updates since the last record, read from the device once per record."""

import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, final

import torch

from wellposed.train._steps import Step

_Row = tuple[int, float, float, float, int]  # index, objective, penalty, wrong, examples
_MOST_PENDING = 64


@final
@dataclass(slots=True)
class Window:
    """Collects steps as they are; their tensors become floats when somebody reads.

    Adding a step is one append to a list, so that watching costs no operation and no
    synchronization per update. Reading, at the latest after 64 steps, costs three transfers.
    """

    last_objective: float = math.nan
    _rows: list[_Row] = field(default_factory=list)
    _pending: list[Step] = field(default_factory=list)

    def add(self, step: Step) -> None:
        """Note a step."""
        self._pending.append(step)
        if len(self._pending) == _MOST_PENDING:  # their outputs take memory
            self.read()

    def read(self) -> list[_Row]:
        """(index, objective, penalty, wrong, examples) of each step since the last `clear`."""
        if self._pending:
            objectives = torch.stack([s.objective for s in self._pending]).tolist()
            penalties = torch.stack([s.penalty for s in self._pending]).tolist()
            examples = [s.examples for s in self._pending]
            wrongs = self._wrongs(examples)
            indices = [s.index for s in self._pending]
            self._rows += zip(indices, objectives, penalties, wrongs, examples, strict=True)
            self._pending.clear()
        return self._rows

    def _wrongs(self, examples: list[int]) -> list[float]:
        """Errors per pending step: all outputs are looked at in one go, which costs one step's."""
        if not all(s.has_classes for s in self._pending):
            return [math.nan] * len(examples)
        outputs = torch.cat([f for s in self._pending for f in s.outputs])
        targets = torch.cat([y for s in self._pending for y in s.targets])
        ends = torch.tensor(examples).cumsum(0) - 1
        upto = outputs.argmax(1).ne(targets).cumsum(0)[ends.to(targets.device)].tolist()
        return [float(b - a) for a, b in pairwise([0, *upto])]

    def means(self) -> dict[str, float | None]:
        """Mean objective, loss and penalty per step, and the error per example."""
        rows = self.read()
        objective = math.fsum(row[1] for row in rows) / len(rows)
        penalty = math.fsum(row[2] for row in rows) / len(rows)
        error = math.fsum(row[3] for row in rows) / sum(row[4] for row in rows)
        return {
            "objective": objective,
            "loss": objective - penalty,
            "penalty": penalty,
            "error": None if math.isnan(error) else error,
        }

    def first_not_finite(self) -> tuple[int, float, float] | None:
        """Step, its objective, and the last one before it (nan if none); None if all are."""
        last = self.last_objective
        for index, objective, *_ in self.read():
            if not math.isfinite(objective):
                return index, objective, last
            last = objective
        return None

    def clear(self) -> None:
        """Forget all steps: they are on record; only the last objective is remembered."""
        self.last_objective = self.read()[-1][1]
        self._rows.clear()
        self._pending.clear()

    def state_dict(self) -> dict[str, Any]:
        """The rows, for a checkpoint in the middle of a window."""
        return {"rows": [list(row) for row in self.read()], "last": self.last_objective}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on in the middle of a window."""
        self._pending.clear()
        self._rows = [tuple(row) for row in state["rows"]]
        self.last_objective = state["last"]
