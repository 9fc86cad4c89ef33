"""What may watch a training run."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, final, runtime_checkable

from wellposed.train._steps import Step


@final
@dataclass(frozen=True, slots=True)
class Start:
    """What is known before the first update.

    Args:
        name: Of the data and the model, for people: "digits, LeNet".
        step: Updates already made: 0, or where a resumed run goes on.
        total_steps: Updates at the end, if nothing stops the run early.
        steps_per_epoch: Updates in one pass over the training part.
        choices: Device, precision, memory layout, threads.
        folder: Path of the run folder, or "" where there is none.
    """

    name: str
    step: int
    total_steps: int
    steps_per_epoch: int
    choices: Mapping[str, Any]
    folder: str


@runtime_checkable
class Observer(Protocol):
    """Something that is told how training goes: a progress bar, TensorBoard, MLflow.

    An observer sees; it does not steer. It must not draw random numbers or touch the weights.
    """

    def begin(self, start: Start, /) -> None:
        """Called once, before the first update."""

    def step(self, step: Step, /) -> None:
        """Called after each update; must be cheap, and must not wait for the device each time."""

    def record(self, record: Mapping[str, Any], /) -> None:
        """Called with each record that goes into the log ("train" or "evaluation")."""

    def end(self, outcome: Mapping[str, Any], /) -> None:
        """Called once at the end: {"status", "step"}, and "error" or "splits" and "cost"."""
