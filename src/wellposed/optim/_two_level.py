"""What the two kinds of two-level iteration share: a base optimizer inside, and their state."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from itertools import chain
from types import MappingProxyType
from typing import Any

from torch import Tensor
from torch.optim import LBFGS, Optimizer
from torch.optim.optimizer import ParamsT, StateDict

from wellposed.errors import require
from wellposed.optim._anchored import Anchored
from wellposed.optim._base import stateless
from wellposed.optim._buckets import POINT, SLOTS, laid_out_as
from wellposed.optim._large_sample import LargeSample
from wellposed.optim._number import maker, number
from wellposed.optim._rosters import Rosters
from wellposed.optim._zeroth_order import ZerothOrder

SGD_DEFAULTS = MappingProxyType(
    {
        "momentum": 0.9,
        "dampening": 0.0,
        "weight_decay": 0.0,
        "nesterov": True,
        "maximize": False,
        "foreach": None,
        "fused": None,
    }
)
COUNTERS = MappingProxyType({"inner_index": 0, "outer_index": 0, "at_anchor": False})


class TwoLevel(Anchored, ABC):
    """An optimizer around a base optimizer, which works on the very same groups and state.

    Args:
        params: Parameters or parameter groups.
        base: (params, lr=...) -> Optimizer; None for torch's SGD arithmetic, done here.
        lr: Step size of the base.
        sgd: The arguments of `SGD_DEFAULTS`; refused beside a base that differ from these.
        own: Group keys of the method itself, with their defaults.
    """

    def __init__(
        self,
        params: ParamsT,
        base: Callable[..., Optimizer] | None,
        *,
        lr: float | Tensor,
        sgd: dict[str, Any],
        own: dict[str, Any],
    ) -> None:
        self._base: Optimizer | None = None
        self._rosters = Rosters()
        own = {**own, **COUNTERS}
        if base is None:
            super().__init__(params, {"lr": lr, **sgd, **own})
            return
        foreign = [name for name, value in sgd.items() if value != SGD_DEFAULTS[name]]
        require(
            not foreign,
            f"{', '.join(foreign)} was given beside a base optimizer, which has its own; try "
            f"base=functools.partial({getattr(base, '__name__', 'Base')}, ...)",
        )
        number("lr", lr, least=0, hint="the step size of the base, try 1e-3")
        inner = maker(base)(params, lr=lr)
        require(
            isinstance(inner, Optimizer)
            and not isinstance(inner, LBFGS | LargeSample | ZerothOrder | Anchored),
            f"base made a {type(inner).__name__}; it makes a torch optimizer that needs one "
            "gradient per step, try torch.optim.AdamW",
        )
        super().__init__(inner.param_groups, {**inner.defaults, **own})
        self.state.update(inner.state)
        self._base = inner
        self._tie()

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group; it enters the present cycle, anchored where its parameters first move."""
        super().add_param_group(param_group)
        group, first = self.param_groups[-1], self.param_groups[0]
        self._check_group(group)
        require(
            group["inner_steps"] == first["inner_steps"],
            f"inner_steps={group['inner_steps']} was given for a group beside one with "
            f"{first['inner_steps']}; all groups share their cycles",
        )
        group |= {name: first[name] for name in COUNTERS}

    def load_state_dict(self, state_dict: StateDict) -> None:
        """Load a state; unlike torch, it keeps float32 slots of bfloat16 weights, and copies."""
        super().load_state_dict(state_dict)
        keys = chain.from_iterable(group["params"] for group in state_dict["param_groups"])
        params = chain.from_iterable(group["params"] for group in self.param_groups)
        for key, p in zip(keys, params, strict=True):
            saved, loaded = state_dict["state"].get(key, {}), self.state.get(p, {})
            for name, value in loaded.items():
                if isinstance(value, Tensor):
                    exact = name in SLOTS and name != POINT and name in saved
                    source = saved[name] if exact else value
                    loaded[name] = laid_out_as(source.to(p.device), p, source.dtype)
        self._rosters = Rosters()

    @abstractmethod
    def _check_group(self, group: dict[str, Any]) -> None:
        """Refuse values that have no meaning, and replace those that stand for others."""

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_base": stateless(self._base)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:  # a state of torch.optim.SGD, say, has none of ours
            for key in self.defaults.keys() - group.keys() - {"kappa"}:
                group[key] = self.defaults[key]
        self._rosters = Rosters()
        self._tie()

    def _tie(self) -> None:
        """Let the base optimizer work on the very groups and state of this one."""
        if self._base is not None:
            self._base.param_groups, self._base.state = self.param_groups, self.state


def set_gradients(pairs: Iterable[tuple[Tensor, Tensor | None]]) -> None:
    """Give each parameter this gradient."""
    for p, grad in pairs:
        p.grad = grad
