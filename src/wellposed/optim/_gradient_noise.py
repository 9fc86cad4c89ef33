"""Gaussian noise on the gradients, less and less of it."""

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT

from wellposed.optim._buckets import by_kind, is_low, kind_of
from wellposed.optim._noise import CounterNoise
from wellposed.optim._number import count, number
from wellposed.optim._transformed import Transformed


class GradientNoise(Transformed):
    r"""Add Gaussian noise of decreasing variance to the gradients that a base optimizer sees.

    $$g_t \leftarrow g_t + \sigma_t\,\xi_t, \qquad \xi_t \sim N(0, I), \qquad
    \sigma_t^2 = \frac{\eta}{(1 + t)^p}$$

    Meant for deep networks that are hard to train from a poor start. The noise is a function of
    the seed, the number of the step and the place of the parameter, so processes that hold the same
    model add the same noise, and a resumed run goes on bit for bit.

    Cost: one gradient evaluation per step, and one normal number per weight, which takes about
    as long as seven plain SGD steps. Memory: one copy of the gradients beside the base's state.

    Args:
        params: Parameters or parameter groups. `lr`, `eta` and `decay` may differ between groups
            and be scheduled.
        lr: Step size of the base optimizer, at least 0.
        momentum: Of the SGD inside, at least 0.
        weight_decay: Of the SGD inside, at least 0; it is not noisy.
        nesterov: As for `torch.optim.SGD`; of no effect without momentum.
        eta: $\eta \ge 0$, the variance at the first step, in units of the squared gradient; the
            paper tries 0.01, 0.3 and 1. With 0 this is the base, bit for bit.
        decay: $p \ge 0$ of the variance.
        noise_seed: With the counter of steps it determines all noise.
        base: Another optimizer, (params, lr=...) -> Optimizer, instead of SGD.

    Raises:
        ArgumentError: If a value is out of range, or an argument belongs to another base.

    References:
        Neelakantan, Vilnis, Le, Sutskever, Kaiser, Kurach and Martens, Adding gradient noise
        improves learning for very deep networks, 2015, arXiv:1511.06807.
    """

    citation: ClassVar[str] = """\
@misc{neelakantan2015adding,
  author = {Neelakantan, Arvind and Vilnis, Luke and Le, Quoc V. and Sutskever, Ilya and Kaiser,
            Lukasz and Kurach, Karol and Martens, James},
  title  = {Adding Gradient Noise Improves Learning for Very Deep Networks},
  year   = {2015},
  note   = {arXiv:1511.06807}
}"""

    def __init__(  # noqa: PLR0913 - one argument per symbol of the equation
        self,
        params: ParamsT,
        lr: float | Tensor = 0.05,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        *,
        nesterov: bool = True,
        eta: float = 0.01,
        decay: float = 0.55,
        noise_seed: int = 0,
        base: Callable[..., Optimizer] | None = None,
    ) -> None:
        sgd = {"momentum": momentum, "weight_decay": weight_decay, "nesterov": nesterov}
        own = {"eta": eta, "decay": decay, "noise_seed": noise_seed, "noise_index": 0}
        self._sources: dict[tuple[int, int], tuple[list[Tensor], CounterNoise]] = {}
        super().__init__(params, base, lr, sgd=sgd, own=own)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group; its noise decreases with the others'."""
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        for key, hint in (("eta", "try 0.01"), ("decay", "try 0.55")):
            number(key, group[key], least=0, hint=f"of GradientNoise, {hint}")
        count("noise_seed", group["noise_seed"], least=0, hint="0")
        group["noise_index"] = self.param_groups[0]["noise_index"]

    def is_active(self, group: dict[str, Any]) -> bool:
        """Whether there is any noise."""
        return bool(group["eta"] != 0)

    def transform(
        self, index: int, group: dict[str, Any], params: list[Tensor], grads: list[Tensor]
    ) -> list[Tensor]:
        """The gradients and their noise, in the memory of the noise."""
        kinds = by_kind(group["params"])
        kind = next(
            i for i, ks in enumerate(kinds) if kind_of(group["params"][ks[0]]) == kind_of(params[0])
        )
        like = [group["params"][k] for k in kinds[kind]]
        known, noise = self._sources.get((index, kind), ([], None))
        if noise is None or list(map(id, known)) != list(map(id, like)):
            dtype = torch.float32 if is_low(params[0]) else params[0].dtype
            noise = CounterNoise(like, dtype)
            self._sources[index, kind] = like, noise
        t = group["noise_index"]
        std = (group["eta"] / (1 + t) ** group["decay"]) ** 0.5
        drawn = noise.draw(std, group["noise_seed"], t, index, kind)
        if len(params) < len(like):
            place = {id(p): i for i, p in enumerate(like)}
            drawn = [drawn[place[id(p)]] for p in params]
        torch._foreach_add_(drawn, grads)
        return drawn

    def advance(self, group: dict[str, Any]) -> None:
        """One step more."""
        group["noise_index"] += 1

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._sources = {}
