"""What the optimizers that see values of the loss only have in common."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT

from wellposed.errors import ArgumentError, require


class ZerothOrder(Optimizer):
    """An optimizer whose closure returns the loss and computes no gradient.

    The closure is called several times per step, without a graph, for the same minibatch. Each
    call finds torch's global generators as the first one did, so that dropout draws the same mask
    at both ends of a difference; after the step they stand as after a single call. Running
    statistics of batch normalization are updated by each call.

    Args:
        params: Parameters or parameter groups.
        defaults: Of the groups; the counters `iteration` and `evaluations` are added.
    """

    loss_only: ClassVar[bool] = True
    """Read by `wellposed.train.steps`, which then computes no gradients."""

    def __init__(self, params: ParamsT, defaults: dict[str, Any]) -> None:
        super().__init__(params, {**defaults, "iteration": 0, "evaluations": 0})

    @property
    def evaluations(self) -> int:
        """Values of the loss that were computed so far; saved with the state."""
        return int(self.param_groups[0]["evaluations"])

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step.

        Args:
            closure: Returns the loss of one fixed minibatch at the present weights.

        Returns:
            The mean of all values found, a float; they belong to points within the radius.
            Without a closure, or with one that asks for gradients, an `ArgumentError` is raised.
        """
        name = type(self).__name__
        if closure is None:
            raise ArgumentError(
                f"{name}.step() was called without a closure; it evaluates the loss several times, "
                "try step(lambda: loss_fn(model(x), y))"
            )
        states = _generators(self.param_groups)
        found: list[float] = []

        def value() -> float:
            _set_generators(states)
            found.append(_number(closure, name))
            return found[-1]

        self._iterate(value)
        for group in self.param_groups:
            group["iteration"] += 1
            group["evaluations"] += len(found)
        return sum(found) / len(found)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group; its counters are those of the others."""
        super().add_param_group(param_group)
        first, group = self.param_groups[0], self.param_groups[-1]
        group |= {key: first[key] for key in ("iteration", "evaluations")}
        self._check_group(group)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:  # a state of another optimizer lacks what is ours
            for key in self.defaults.keys() - group.keys():
                group[key] = self.defaults[key]

    @abstractmethod
    def _iterate(self, value: Callable[[], float]) -> None:
        """Evaluate around the weights, then move them."""

    def _check_group(self, group: dict[str, Any]) -> None:
        """Refuse values that have no meaning, naming the argument."""
        name, lr, radius = type(self).__name__, float(group["lr"]), group["radius"]
        require(lr >= 0, f"{name} got lr={lr:g}; a step size is at least 0, try 1e-3")
        require(
            0 < radius < float("inf"),
            f"{name} got radius={radius:g}; the loss is evaluated this far from the weights, so "
            "it is positive, try 1e-2",
        )
        for p in group["params"]:
            require(
                p.is_floating_point(),
                f"{name} got a parameter of {p.dtype}; it perturbs real numbers only",
            )


def _number(closure: Callable[[], Any], name: str) -> float:
    """The value of the loss as a float; one synchronization."""
    try:
        loss = closure()
    except RuntimeError as error:
        if "does not require grad" not in str(error):
            raise
        raise ArgumentError(
            f"the closure given to {name}.step() computes gradients, which {name} has no use for; "
            "leave out backward() and return the loss"
        ) from error
    single = loss.numel() == 1 if isinstance(loss, Tensor) else isinstance(loss, float | int)
    found = f"shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
    require(single, f"the closure returned {found}; {name} needs the loss, a single number")
    return float(loss)


def _generators(groups: list[dict[str, Any]]) -> dict[torch.device, Tensor]:
    """The states of torch's global generators that an evaluation may draw from."""
    states = {torch.device("cpu"): torch.get_rng_state()}
    for device in {p.device for group in groups for p in group["params"]}:
        if device.type == "cuda":
            states[device] = torch.cuda.get_rng_state(device)
    return states


def _set_generators(states: dict[torch.device, Tensor]) -> None:
    """Put the global generators back."""
    for device, state in states.items():
        if device.type == "cuda":
            torch.cuda.set_rng_state(state, device)
        else:
            torch.set_rng_state(state)
