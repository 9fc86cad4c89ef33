"""One training under way: everything that changes from step to step, and can be saved."""

import copy
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Protocol, final, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel

from wellposed.data import Batches
from wellposed.errors import RunFolderError, require
from wellposed.optim import Anchored
from wellposed.problem import Problem
from wellposed.regularizers import Adversary
from wellposed.train._averaging import evaluated, moving_average
from wellposed.train._clock import Clock
from wellposed.train._curvature import least_curvature
from wellposed.train._early_stopping import EarlyStopping
from wellposed.train._evaluate import Evaluation, evaluate
from wellposed.train._plan import Plan
from wellposed.train._precision import Precision
from wellposed.train._rng import rng_state, set_rng_state
from wellposed.train._steps import Step, steps
from wellposed.train._watchdog import Watchdog, robust_error
from wellposed.train._window import Window

_FIXED = ("batch_size", "seed", "accumulate", "clip_norm", "ema", "augment")
_STATISTICS_BATCHES = 64
_ATTACKED = 256  # examples of the validation part: 2 % of the cost of 60,000 training examples


@runtime_checkable
class Scheduler(Protocol):
    """What `fit` asks of a scheduler: torch's, and `wellposed.optim.GroupScheduler`."""

    def step(self) -> None:
        """Called after each update."""

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """From a checkpoint."""


@final
@dataclass(slots=True)
class Training:
    """The state of a run; `descend` changes it, `state` and `load` save and restore all of it.

    Args:
        problem: With the model on the device.
        optimizer: Of its weights.
        plan: What to do.
        schedulers: Stepped after each update.
        device: Where to compute.
        precision: How to compute.
        batches: The training part.
    """

    problem: Problem
    optimizer: Optimizer
    plan: Plan
    schedulers: Sequence[Scheduler]
    device: torch.device
    precision: Precision
    batches: Batches
    average: AveragedModel | None = None
    stopping: EarlyStopping = field(init=False)
    clock: Clock = field(default_factory=Clock)
    window: Window = field(default_factory=Window)
    watchdog: Watchdog = field(default_factory=Watchdog)
    step: int = 0
    gradients: int = 0
    examples: int = 0
    _lr: float | Tensor = 0.0
    _norm: Tensor | None = None  # before clipping
    _statistics: Batches | None = None  # kept, since on a GPU they hold a copy of the data
    _validation: Batches | None = None

    def __post_init__(self) -> None:
        self.stopping = EarlyStopping(self.plan.patience)
        if self.plan.ema is not None:
            self.average = moving_average(self.problem.model, self.plan.ema)
        require(
            self.plan.monitor != "robust_error" or self.adversary is not None,
            "monitor = 'robust_error' needs an adversary, and the objective has none; add a "
            "regularizer such as AdversarialTraining, or monitor 'error'",
        )

    @property
    def steps_per_epoch(self) -> int:
        """Updates in one pass over the training part."""
        return self.plan.steps_per_epoch(len(self.problem.data.train))

    @property
    def total_steps(self) -> int:
        """Updates until the plan is fulfilled."""
        return self.plan.epochs * self.steps_per_epoch

    @property
    def adversary(self) -> Adversary | None:
        """Whom the objective defends against; None if nobody."""
        regularizer = self.problem.regularizer
        return None if regularizer is None else regularizer.adversary

    @property
    def is_over(self) -> bool:
        """Whether to stop before the plan is fulfilled."""
        return self.stopping.over or self.watchdog.barked

    @property
    def autocast(self) -> AbstractContextManager[Any]:
        """The context of each forward pass."""
        return self.precision.autocast(self.device)

    def descend(self) -> Iterator[Step]:
        """Take the steps that are left, from wherever the state is."""
        model, plan = self.problem.model, self.plan
        model.train()
        while self.step < self.total_steps:
            epoch, done = divmod(self.step, self.steps_per_epoch)
            for step in steps(
                self.problem,
                self.optimizer,
                self.batches.epoch(epoch, start=done * plan.accumulate),
                start=self.step,
                accumulate=plan.accumulate,
                clip_norm=plan.clip_norm,
                autocast=self.autocast,
            ):
                self._lr = self.optimizer.param_groups[0].get("lr", 0.0)
                for scheduler in self.schedulers:
                    scheduler.step()
                if self.average is not None:
                    self.average.update_parameters(model)
                self._norm = step.gradient_norm
                self.step = step.index
                self.gradients += step.gradients
                self.examples += step.examples
                self.window.add(step)
                yield step

    @property
    def lr(self) -> float:
        """Step size of the last update, in the first parameter group."""
        return float(self._lr)

    def gradient_norm(self) -> float:
        """Euclidean norm of the last gradient, before any clipping; one synchronization."""
        if self._norm is not None:
            return self._norm.item()
        groups = self.optimizer.param_groups
        gradients = [w.grad for g in groups for w in g["params"] if w.grad is not None]
        return get_total_norm(gradients).item() if gradients else 0.0

    def diagnostics(self) -> dict[str, Any]:
        """What a relaxation says about itself; {} for other optimizers."""
        return self.optimizer.diagnostics() if isinstance(self.optimizer, Anchored) else {}

    def evaluated(self) -> AbstractContextManager[nn.Module]:
        """The model that is evaluated: the moving average, the anchor, or the last weights."""
        return evaluated(
            self.problem.model, self.optimizer, self.average, self.statistics_batches()
        )

    def statistics_batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """At most 64 training batches without augmentation, for batch norm's statistics."""
        if self._statistics is None:
            train, size = self.problem.data.train, self.plan.batch_size
            self._statistics = Batches(train, size, seed=self.plan.seed, device=self.device)
        yield from islice(self._statistics.epoch(0), _STATISTICS_BATCHES)

    def evaluate(self) -> tuple[Evaluation, bool]:
        """Evaluate on the validation part, in the precision of training; whether it is the best.

        Where training has an adversary, the robust error is measured on the part's first 256.
        """
        if self._validation is None:
            part = self.problem.data.validation
            self._validation = Batches(part, 1000, shuffle=False, device=self.device)
        with self.clock.paused(), self.evaluated() as model:
            found = evaluate(model, self._validation, self.problem.loss, autocast=self.autocast)
            if (adversary := self.adversary) is not None:
                examples = torch.arange(min(_ATTACKED, len(self.problem.data.validation)))
                x, y = (t.to(self.device) for t in self.problem.data.validation.take(examples))
                error = robust_error(model, x, y, adversary, autocast=self.autocast)
                found = replace(found, robust_error=error)
                self.watchdog.see(error, self.step, model)
            value = getattr(found, self.plan.monitor)
            return found, self.stopping.see(value, self.step, model)

    def least_curvature(self) -> float:
        """The most negative curvature on the first training examples, at the weights evaluated."""
        examples = range(min(self.plan.curvature or 0, len(self.problem.data.train)))
        inputs, targets = self.problem.data.train.take(torch.tensor(examples))
        with self.clock.paused(), self.evaluated() as model:
            batch = inputs.to(self.device), targets.to(self.device)
            return least_curvature(self.problem, model, *batch)

    def is_finite(self) -> bool:
        """Whether all weights are finite; one synchronization per weight."""
        return all(bool(p.isfinite().all()) for p in self.problem.model.parameters())

    def state(self) -> dict[str, Any]:
        """All of it, as state dictionaries by name; the tensors are not copies."""
        return {
            "model": self.problem.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedulers": [s.state_dict() for s in self.schedulers],
            "average": None if self.average is None else self.average.state_dict(),
            "stopping": self.stopping.state_dict(),
            "watchdog": self.watchdog.state_dict(),
            "clock": self.clock.state_dict(),
            "window": self.window.state_dict(),
            "rng": rng_state(self.device),
            "progress": {k: getattr(self, k) for k in ("step", "gradients", "examples")},
            "made_by": self._made_by(),
        }

    def load(self, parts: dict[str, Any], where: str) -> None:
        """Go back to a state; `where` it comes from is said in errors.

        Raises `RunFolderError` if it is the state of another model, optimizer or plan.
        """
        self._require_same(parts, where)
        self.problem.model.load_state_dict(parts["model"])
        self.optimizer.load_state_dict(copy.deepcopy(parts["optimizer"]))
        for scheduler, state in zip(self.schedulers, parts["schedulers"], strict=True):
            scheduler.load_state_dict(copy.deepcopy(state))
        if self.average is not None:
            self.average.load_state_dict(parts["average"])
        self.stopping.load_state_dict(parts["stopping"])
        if "watchdog" in parts:  # older checkpoints have none
            self.watchdog.load_state_dict(parts["watchdog"])
        self.clock.load_state_dict(parts["clock"])
        self.window.load_state_dict(parts["window"])
        set_rng_state(parts["rng"], self.device)
        for name, value in parts["progress"].items():
            setattr(self, name, value)

    def _made_by(self) -> dict[str, str]:
        """What must be the same for a checkpoint to continue this training."""
        made_by = {name: repr(getattr(self.plan, name)) for name in _FIXED}
        made_by["optimizer"] = type(self.optimizer).__name__
        made_by["schedulers"] = ", ".join(type(s).__name__ for s in self.schedulers)
        made_by["examples per epoch"] = str(len(self.problem.data.train))
        return made_by

    def _require_same(self, parts: dict[str, Any], where: str) -> None:
        """Refuse a state of something else.

        Raises:
            RunFolderError: Naming the first difference.
        """
        found = {key: f"{key}={value}" for key, value in parts["made_by"].items()}
        right = {key: f"{key}={value}" for key, value in self._made_by().items()}
        model = self.problem.model.state_dict()
        for shapes, tensors in ((found, parts["model"]), (right, model)):
            for name, tensor in tensors.items():
                shape = tuple(getattr(tensor, "shape", ()))
                shapes[f"model.{name}"] = f"{name} of shape {shape}"
        for key in [*right, *found]:
            if found.get(key) != right.get(key):
                raise RunFolderError(
                    f"{where} was written with {found.get(key, f'no {key}')}, but this training "
                    f"has {right.get(key, f'no {key}')}; resume with the recipe of the run, or "
                    "start a new run"
                )
