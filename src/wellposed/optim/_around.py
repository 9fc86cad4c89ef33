"""An optimizer that works around another one, on the very same groups and state."""

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.optim import LBFGS, Optimizer
from torch.optim.optimizer import ParamsT

from wellposed.errors import require
from wellposed.optim._anchored import Anchored
from wellposed.optim._base import stateless
from wellposed.optim._large_sample import LargeSample
from wellposed.optim._number import maker, number
from wellposed.optim._plain_sgd import PlainSGD
from wellposed.optim._zeroth_order import ZerothOrder

_SGD = {"momentum": 0.9, "weight_decay": 0.0, "nesterov": True}


class Around(Optimizer):
    """Its groups and state are those of a base optimizer, so schedulers and checkpoints know one.

    A subclass does something to the gradients before `self.base_step()` or to the weights after
    it. What it needs to know stands in the groups, under names that no base uses.

    Args:
        params: Parameters or parameter groups.
        base: (params, lr=...) -> Optimizer, or None for torch's SGD with `sgd`.
        lr: Step size of the base.
        sgd: Its momentum, weight_decay and nesterov; for base=None only.
        own: The subclass's own keys of the groups, with their defaults.
    """

    def __init__(
        self,
        params: ParamsT,
        base: Callable[..., Optimizer] | None,
        lr: float | Tensor,
        *,
        sgd: dict[str, Any],
        own: dict[str, Any],
    ) -> None:
        name = type(self).__name__
        for key in () if base is not None else ("momentum", "weight_decay"):
            number(key, sgd[key], least=0, hint=f"of the SGD inside {name}, try 0")
        number("lr", lr, least=0, hint=f"the step size of {name}, try 0.05")
        foreign = [key for key, value in sgd.items() if value != _SGD[key]]
        require(
            base is None or not foreign,
            f"{name} got {', '.join(foreign)} beside a base optimizer, which has its own; try "
            f"base=functools.partial({getattr(base, '__name__', 'Base')}, ...)",
        )
        if base is None:
            nesterov = sgd["nesterov"] and sgd["momentum"] > 0
            inner: Optimizer = PlainSGD(params, lr=lr, **{**sgd, "nesterov": nesterov})
        else:
            inner = maker(base)(params, lr=lr)
        require(
            isinstance(inner, Optimizer)
            and not isinstance(inner, LBFGS | LargeSample | ZerothOrder | Anchored),
            f"{name} got a base that makes a {type(inner).__name__}; it makes an optimizer that "
            f"needs one gradient per step and has no anchor, try torch.optim.AdamW; an optimizer "
            f"with an anchor goes outside, as in EntropySGD(params, base={name})",
        )
        shared = sorted(own.keys() & inner.defaults.keys())
        require(
            not shared,
            f"{name} got a base that has {', '.join(shared)} too, and both would share one value; "
            f"try each of them around the base once, not {name} around {name}",
        )
        self._base: Optimizer | None = None
        super().__init__(inner.param_groups, {**inner.defaults, **own})
        self.state.update(inner.state)
        self._base = inner

    def base_step(self) -> None:
        """One step of the base optimizer with the gradients at hand."""
        if self._base is not None:
            # Loading replaces both, and where this optimizer is itself a base, so does the outer.
            self._base.param_groups, self._base.state = self.param_groups, self.state
            self._base.step()

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_base": stateless(self._base)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:  # a state of the base alone has none of ours
            for key in self.defaults.keys() - group.keys():
                group[key] = self.defaults[key]
