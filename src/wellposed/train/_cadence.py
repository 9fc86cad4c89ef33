"""When to log, to evaluate and to save: functions of the number of the step alone."""

from dataclasses import dataclass
from functools import cached_property
from typing import final

from wellposed.train._plan import Plan

_RECORDS = 400
_CLOSEST, _FARTHEST = 10, 100


@final
@dataclass(frozen=True)
class Cadence:
    """What is due after a step.

    Args:
        plan: Says what is due when, or leaves it open.
        steps_per_epoch: Updates in one pass over the training part.
    """

    plan: Plan
    steps_per_epoch: int

    @cached_property
    def total_steps(self) -> int:
        """Updates until the plan is fulfilled."""
        return self.plan.epochs * self.steps_per_epoch

    @cached_property
    def log_every(self) -> int:
        """Updates between records; by default an epoch is cut into equal parts."""
        if self.plan.log_every is not None:
            return self.plan.log_every
        wanted = min(max(self.total_steps // _RECORDS, _CLOSEST), _FARTHEST)
        parts = max(1, round(self.steps_per_epoch / wanted))
        return -(-self.steps_per_epoch // parts)

    def logs(self, step: int) -> bool:
        """Whether a record is due: at the end of an epoch, and every few steps within."""
        return step % self.steps_per_epoch % self.log_every == 0

    def evaluates(self, step: int) -> bool:
        """Whether an evaluation is due."""
        return step % (self.plan.evaluate_every or self.steps_per_epoch) == 0

    def saves(self, step: int) -> bool:
        """Whether a checkpoint is due by the number of steps; by the clock is another matter."""
        every = self.plan.checkpoint_every
        if every is None:
            return False
        return step % (self.steps_per_epoch if every == "epoch" else every) == 0
