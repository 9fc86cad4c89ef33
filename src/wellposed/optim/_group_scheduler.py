"""A scheduler for any number in the parameter groups: lr, gamma, outer_lr, momentum."""

from typing import Any

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from wellposed.errors import UnknownNameError, require
from wellposed.optim._schedules import Schedule


class GroupScheduler(LRScheduler):
    """Set `group[key]` to its initial value times a factor that depends on the step alone.

    Call `step()` after each `optimizer.step()`. The value is computed in closed form, never from
    the value before: saved and loaded at any step it goes on bit for bit, and other schedulers may
    act on other keys of the same optimizer. It is an `LRScheduler`, so Lightning, Accelerate and
    the Hugging Face Trainer take it as one, whatever the key.

    Args:
        optimizer: Any torch optimizer. The value found in each group is the initial value; it is
            kept there as `initial_<key>`, and taken from there if it already is.
        schedule: (step, total) -> factor, such as `Cosine(warmup=0.05)`.
        total: Number of optimizer steps of the whole training, at least 1.
        key: What is scheduled, such as "lr", "gamma", "outer_lr", "weight_decay".

    Raises:
        UnknownNameError: If a group has no such key.
        ArgumentError: If the value is not a number or `total` is below 1.
    """

    def __init__(
        self, optimizer: Optimizer, schedule: Schedule, total: int, key: str = "lr"
    ) -> None:
        require(total >= 1, f"GroupScheduler got total={total} steps; it needs at least 1")
        self.optimizer = optimizer
        self.schedule = schedule
        self.total = total
        self.key = key
        self.last_epoch = 0  # LRScheduler's name for the number of steps taken
        self._step_count = 1
        self._apply()

    def step(self, epoch: int | None = None) -> None:
        """Go on by one step, or to step `epoch`."""
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        self._step_count += 1
        self._apply()

    def get_lr(self) -> list[float | Tensor]:
        """The value of the key at the present step, per group."""
        factor = self.schedule(self.last_epoch, self.total)
        return [self._initial(group) * factor for group in self.optimizer.param_groups]

    def get_last_lr(self) -> list[float | Tensor]:
        """The value of the key in each group."""
        return [group[self.key] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """The position; the initial values travel in the optimizer's own state."""
        return {"last_epoch": self.last_epoch, "_step_count": self._step_count}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go to the position of a `state_dict()`; load the optimizer's state before or after."""
        self.last_epoch = state_dict["last_epoch"]
        self._step_count = state_dict["_step_count"]
        self._apply()

    def _initial(self, group: dict[str, Any]) -> float:
        """The value that the factor multiplies; the one found when the group is first seen."""
        if (name := f"initial_{self.key}") not in group:
            if self.key not in group:
                raise UnknownNameError("key", self.key, [k for k in group if k != "params"])
            found = group[self.key]
            require(
                isinstance(found, int | float | Tensor) and not isinstance(found, bool),
                f"GroupScheduler got key={self.key!r}, whose value is {found!r}; only a number can "
                "be multiplied by a factor, try 'lr'",
            )
            group[name] = float(found)
        return float(group[name])

    def _apply(self) -> None:
        """Write the value of the present step into the groups."""
        for group, value in zip(self.optimizer.param_groups, self.get_lr(), strict=True):
            if isinstance(group[self.key], Tensor):
                group[self.key].fill_(value)
            else:
                group[self.key] = value
