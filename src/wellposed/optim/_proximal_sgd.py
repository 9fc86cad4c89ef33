"""Proximal stochastic gradient descent."""

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT

from wellposed.errors import require
from wellposed.optim._base import evaluate


class ProximalSGD(Optimizer):
    r"""Minimize loss(w) + R(w), where R is rough but its proximal map is cheap.

    $$w \leftarrow \operatorname{prox}_{\eta R}\bigl(w - \eta \nabla \ell(w)\bigr)$$

    Under an L1 penalty weights become exactly zero, which adding R to the loss never does. One
    gradient evaluation per step; no state, so no memory beyond the weights.

    Args:
        params: Parameters or parameter groups, as for `torch.optim.SGD`.
        lr: Step size $\eta \ge 0$; below $2/L$ it converges on a convex, $L$-smooth loss.
        prox_: (weights, $\eta$) -> None, applies $\operatorname{prox}_{\eta R}$ in place, such as
            `wellposed.regularizers.ElasticNet(l1=1e-4).prox_`.

    Raises:
        ArgumentError: If `lr` is negative.

    References:
        Combettes and Wajs, Signal recovery by proximal forward-backward splitting, 2005.
    """

    citation: ClassVar[str] = """\
@article{combettes2005signal,
  author  = {Combettes, Patrick L. and Wajs, Val{\\'e}rie R.},
  title   = {Signal Recovery by Proximal Forward-Backward Splitting},
  journal = {Multiscale Modeling \\& Simulation},
  volume  = {4},
  number  = {4},
  pages   = {1168--1200},
  year    = {2005}
}"""

    def __init__(
        self, params: ParamsT, lr: float, *, prox_: Callable[[list[Tensor], float], None]
    ) -> None:
        require(lr >= 0, f"ProximalSGD got lr={lr:g}; a step size is at least 0, try lr=0.1")
        super().__init__(params, {"lr": lr})
        self.prox_ = prox_

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "prox_": self.prox_}

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step, and return the loss if a closure recomputes it."""
        loss = evaluate(closure)
        for group in self.param_groups:
            weights = [w for w in group["params"] if w.grad is not None]
            if weights:
                lr = float(group["lr"])
                torch._foreach_add_(weights, [w.grad for w in weights], alpha=-lr)
                self.prox_(weights, lr)
        return loss
