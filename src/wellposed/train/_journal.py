"""What a run writes down while it trains: log, clock, checkpoints, status; and who is told."""

import copy
import time
from collections.abc import Mapping, Sequence
from typing import Any, final

from wellposed.runs import RunFolder, Status
from wellposed.train._checkpoint import load_checkpoint, save_checkpoint
from wellposed.train._observer import Observer, Start
from wellposed.train._steps import Step
from wellposed.train._training import Training

_INTERVAL = 30.0  # seconds between checkpoints
_SHARE = 20.0  # and at least this many times what one takes


@final
class Journal:
    """Keeps the records of a training in its folder, if it has one, and tells the observers.

    Args:
        training: Whose records.
        folder: Where; None keeps the last checkpoint in memory.
        observers: Told everything.
    """

    def __init__(
        self, training: Training, folder: RunFolder | None, observers: Sequence[Observer]
    ) -> None:
        self._training = training
        self._folder = folder
        self._observers = observers
        self.records: list[dict[str, Any]] = []
        self._memory: dict[str, Any] = {}
        self._saved_at: int | None = None
        self._due = 0.0

    def begin(self, name: str, choices: Mapping[str, Any]) -> None:
        """Go back to the newest checkpoint if there is one, and say that training starts."""
        training, folder = self._training, self._folder
        if folder is not None:
            facts: dict[str, Any] = {}
            if (newest := load_checkpoint(folder.checkpoints)) is not None:
                training.load(newest.parts, str(newest.path))
                facts = {"skipped_checkpoints": list(newest.skipped)} if newest.skipped else {}
            for log in (folder.log, folder.clock):
                log.keep_until(training.step)
            self.records = folder.log.read()
            folder.set_status(Status.RUNNING, step=training.step, **facts)
        if training.step == 0:
            self._memory = copy.deepcopy(training.state())
        start = Start(
            name=name,
            step=training.step,
            total_steps=training.total_steps,
            steps_per_epoch=training.steps_per_epoch,
            choices=choices,
            folder="" if folder is None else str(folder.path),
        )
        for observer in self._observers:
            observer.begin(start)
        self._due = time.monotonic() + _INTERVAL

    def step(self, step: Step) -> None:
        """Tell the observers of an update."""
        for observer in self._observers:
            observer.step(step)

    def write_means(self) -> None:
        """Record the means over the steps since the last record, and forget them."""
        training = self._training
        means = training.window.means()
        training.window.clear()
        norm = training.gradient_norm()
        own = {"lr": training.lr, "gradient_norm": norm, "optimizer": training.diagnostics()}
        self._write("train", means | own)
        seconds, cpu_seconds = training.clock.now()
        if self._folder is not None:
            self._folder.clock.append(
                {
                    "step": training.step,
                    "seconds": seconds,
                    "cpu_seconds": cpu_seconds,
                    "examples_per_second": training.examples / max(seconds, 1e-9),
                }
            )

    def evaluate(self) -> bool:
        """Evaluate on the validation part and record it; whether it is the best so far."""
        found, improved = self._training.evaluate()
        values = {"split": "validation", "n": found.n, "loss": found.loss, "error": found.error}
        if found.top5_error is not None:
            values["top5_error"] = found.top5_error
        if found.robust_error is not None:
            values["robust_error"] = found.robust_error
            values["collapsed"] = self._training.watchdog.barked
        if self._training.plan.curvature is not None:
            values["lambda_min"] = self._training.least_curvature()
        self._write("evaluation", values)
        return improved

    def is_time_to_save(self) -> bool:
        """Whether the last checkpoint is so old that one is due."""
        return time.monotonic() > self._due

    def save(self) -> None:
        """Write a checkpoint, unless there is one of this step; each record is on disk before."""
        training, folder = self._training, self._folder
        if self._saved_at == training.step:
            return
        start = time.monotonic()
        with training.clock.paused():
            if folder is None:
                self._memory = copy.deepcopy(training.state())
            else:
                folder.log.sync()
                folder.clock.sync()
                best = training.stopping.step
                save_checkpoint(folder.checkpoints, training.step, best=best, **training.state())
                self._memory = {}
        self._saved_at = training.step
        now = time.monotonic()
        self._due = now + max(_INTERVAL, _SHARE * (now - start))

    def go_back(self) -> int:
        """Return to the last checkpoint, and say of which step it is."""
        training, folder = self._training, self._folder
        newest = None if folder is None else load_checkpoint(folder.checkpoints)
        if newest is not None:
            training.load(newest.parts, str(newest.path))
        elif self._memory:
            training.load(self._memory, "memory")
        return training.step

    def end(self, status: Status, **outcome: Any) -> None:
        """Write the status, and tell the observers how it ended."""
        facts: dict[str, Any] = {"step": self._training.step}
        if "error" in outcome:
            facts["error"] = outcome["error"]
        if self._folder is not None:
            self._folder.set_status(status, **facts)
        for observer in self._observers:
            observer.end({"status": str(status)} | facts | outcome)

    def _write(self, event: str, values: Mapping[str, Any]) -> None:
        """Append to the log, and tell the observers."""
        training = self._training
        record = {
            "event": event,
            "step": training.step,
            "epoch": training.step / training.steps_per_epoch,
            "gradients": training.gradients,
            **values,
        }
        self.records.append(record)
        if self._folder is not None:
            self._folder.log.append(record)
        for observer in self._observers:
            observer.record(record)
