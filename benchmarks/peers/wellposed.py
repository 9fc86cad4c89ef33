"""Ours: `wellposed.train.fit` with its progress bar and metrics."""

import os
from collections.abc import Callable, Mapping
from typing import Any

from peers.task import Predict, Task
from wellposed.data import Dataset, Examples, Standardization
from wellposed.losses import CrossEntropy
from wellposed.problem import Problem
from wellposed.train import Plan, Start, Step, fit, progress

PACKAGES = ("wellposed",)
NOTE = "its bar, objective and error"
FACTS: dict[str, str] = {}


class _Turn:
    """An observer that ends the epoch, and notes what was chosen."""

    def __init__(self, end_of_epoch: Callable[[], None]) -> None:
        self._end_of_epoch = end_of_epoch
        self._steps_per_epoch = 0

    def begin(self, start: Start) -> None:
        self._steps_per_epoch = start.steps_per_epoch
        FACTS["dtype"] = start.choices["precision"]
        FACTS["memory_format"] = start.choices["memory_format"]

    def step(self, step: Step) -> None:
        if step.index % self._steps_per_epoch == 0:
            self._end_of_epoch()

    def record(self, record: Mapping[str, Any]) -> None:
        pass

    def end(self, outcome: Mapping[str, Any]) -> None:
        pass


def train(task: Task, epochs: int, end_of_epoch: Callable[[], None], *, precision: str) -> Predict:
    assert os.isatty(2), "the bar is drawn on a terminal only"
    inputs, targets = task.tensors()
    data = Dataset(
        name="fashion-mnist",
        classes=tuple("0123456789"),
        train=Examples(inputs, targets),
        validation=None,
        test=None,
        standardization=Standardization.identity(inputs.shape[1]),
    )
    model = task.model()
    plan = Plan(epochs=epochs, batch_size=task.batch_size, precision=precision)
    watch = (progress(), _Turn(end_of_epoch))
    fit(Problem(data, model, CrossEntropy()), task.optimizer(model), plan, observers=watch)
    return task.scores(model)
