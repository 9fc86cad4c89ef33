"""Nesterov's method with decreasing steps, as a discretized differential equation."""

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from wellposed.errors import require
from wellposed.optim._base import evaluate
from wellposed.optim._number import number
from wellposed.optim._two_points import TwoPoints


class AcceleratedSGD(TwoPoints):
    r"""Accelerated gradient descent whose momentum follows the step size, for noisy gradients.

    With time steps $h_k$, $t_k = 2 h_0 + h_1 + \dots + h_k$ and a gradient g at $y_k$,

    $$y_k = x_k + \theta_k (v_k - x_k), \qquad x_{k+1} = y_k - \frac{h_k}{\sqrt L}\,g, \qquad
    v_{k+1} = v_k + \omega_k (x_k - v_k) - q_k\,g$$

    | | $\theta_k$ | $\omega_k$ | $q_k$ | $h_k / h_0$ |
    |---|---|---|---|---|
    | $\mu = 0$ | $2 h_k / t_k$ | 0 | $h_k t_k / 2$ | $(1 + k/k_0)^{-3/4}$ |
    | $\mu > 0$ | $h_k\sqrt\mu/(1+h_k\sqrt\mu)$ | $\theta_k$ | $h_k/\sqrt\mu$ | $(1 + k/k_0)^{-1}$ |

    With a constant step, $k_0 = \infty$, this is Nesterov's method with momentum $k / (k + 3)$, or
    $(1 - \sqrt{\mu/L}) / (1 + \sqrt{\mu/L})$. With decreasing steps and noisy gradients, theory
    bounds the expected error of the last x by $O(\log k / \sqrt k)$, or O(1/k). On the losses of
    networks, which are neither convex nor have a known L, neither is promised.

    While training, the model holds y; `eval()` or `at_anchor()` put x there. v is never stored:
    it is where the line from x through y leads.

    Cost: one gradient evaluation per step, and 12 reads or writes of every weight. Memory: one
    copy of the weights; two in float32 where weights have fewer bits.

    Args:
        params: Parameters or parameter groups. `lr` may differ between groups and be scheduled,
            on top of the decrease that is built in.
        lr: $h_0 / \sqrt L$, the first step along the gradient, at least 0 and at most 1/L.
        lipschitz: L > 0, the largest curvature; None for 1/lr.
        strong_convexity: $\mu$ from 0 to L, the smallest curvature; 0 for convex losses.
        offset: $k_0 > 0$, in steps, how long the first step size lasts, about; `math.inf` for a
            constant step. None for $2 / (h_0 \sqrt\mu)$ if $\mu > 0$, as in the paper, and else
            for 30: then no gradient moves v more than ten times as far as x, as momentum 0.9 does.
        weight_decay: Added to the gradient, times y; at least 0. It adds to $\mu$ and L.

    Raises:
        ArgumentError: If a value is out of range, or lr is 0 and L is not given.

    References:
        Laborde and Oberman, Nesterov's method with decreasing learning rate leads to accelerated
        stochastic gradient descent, 2019, arXiv:1908.07861.
    """

    citation: ClassVar[str] = """\
@misc{laborde2019nesterov,
  author = {Laborde, Maxime and Oberman, Adam M.},
  title  = {Nesterov's Method with Decreasing Learning Rate Leads to Accelerated Stochastic
            Gradient Descent},
  year   = {2019},
  note   = {arXiv:1908.07861}
}"""

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 0.05,
        *,
        lipschitz: float | None = None,
        strong_convexity: float = 0.0,
        offset: float | None = None,
        weight_decay: float = 0.0,
    ) -> None:
        own = {
            "lr": lr,
            "lipschitz": lipschitz,
            "strong_convexity": strong_convexity,
            "offset": offset,
            "weight_decay": weight_decay,
            "time": 0.0,
            "blend": 1.0,
        }
        super().__init__(params, own)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group; it starts at rest, with the step size of the others."""
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        lr = number("lr", group["lr"], least=0, hint="the first step of AcceleratedSGD, try 0.05")
        number("weight_decay", group["weight_decay"], least=0, hint="of AcceleratedSGD, try 0")
        mu, offset, largest = group["strong_convexity"], group["offset"], group["lipschitz"]
        if largest is None:
            usual = lr or float(self.defaults["lr"])
            require(
                usual > 0,
                "AcceleratedSGD got lr=0 and no lipschitz, which is 1/lr otherwise; try lr=0.05",
            )
            largest = group["lipschitz"] = 1 / usual
        require(
            largest > 0 and lr * largest < 1 + 1e-9,
            f"AcceleratedSGD got lr={lr:g} and lipschitz={largest:g}; lipschitz is positive and lr "
            "at most its inverse, try leaving it out",
        )
        require(
            0 <= mu < largest * (1 + 1e-9),
            f"AcceleratedSGD got strong_convexity={mu:g}; it is at least 0 and at most the largest "
            f"curvature {largest:g}, try 0",
        )
        if offset is None:
            first = (lr or 1 / largest) * sqrt(largest)
            offset = group["offset"] = 30.0 if mu == 0 else 2 / (first * sqrt(mu))
        require(offset > 0, f"AcceleratedSGD got offset={offset:g}; it is positive, try 30")

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step, or none where lr is 0.

        Args:
            closure: Recomputes the loss and its gradient; called exactly once.

        Returns:
            What the closure returned, or None. A step while the model holds x, or with a sparse
            gradient, is refused by an `ArgumentError`.
        """
        self.check_training()
        loss = evaluate(closure)
        with torch.no_grad():
            for index, group in enumerate(self.param_groups):
                params = [p for p in group["params"] if p.grad is not None]
                pairs = self.pairs(index, params)  # also at lr 0: a checkpoint wants the state
                if float(group["lr"]) > 0:
                    step = _advance(group)
                    for pair in pairs:
                        grads = [p.grad for p in pair.params if p.grad is not None]
                        _move(pair.working(), pair.anchors, grads, step)
                        pair.write()
                group["inner_index"] += 1
        return loss

    def finish_cycle(self) -> None:
        """Leave x in the model, for good; steps from there start at rest and with the first h."""
        super().finish_cycle()
        for group in self.param_groups:
            group |= {"time": 0.0, "blend": 1.0}


@dataclass(frozen=True, slots=True)
class _Step:
    r"""Coefficients of one step, in terms of x and y alone.

    Args:
        momentum: $\beta$ in $y_{k+1} = y_k + \beta (y_k - x_k) + c\,g$.
        of_y: c there.
        of_x: $-h / \sqrt L$.
        weight_decay: How much of y is added to g.
    """

    momentum: float
    of_y: float
    of_x: float
    weight_decay: float


def _advance(group: dict[str, Any]) -> _Step:
    """Count the step's time, and find its coefficients; y was made with the `blend` kept."""
    k, root, mu = group["inner_index"], sqrt(group["lipschitz"]), group["strong_convexity"]

    def time_step(k: int) -> float:
        decrease = 1 / (1 + k / group["offset"])
        return float(group["lr"] * root * decrease ** (0.75 if mu == 0 else 1.0))

    h, following = time_step(k), time_step(k + 1)
    if mu == 0:
        group["time"] = time = group["time"] + h if group["time"] > 0 else 2 * h
        blend = min(1.0, 2 * following / (time + following))
        pull, q = 0.0, h * time / 2
    else:
        blend = following * sqrt(mu) / (1 + following * sqrt(mu))
        pull, q = h * sqrt(mu) / (1 + h * sqrt(mu)), h / sqrt(mu)
    momentum = blend * ((1 - pull) / group["blend"] - 1)
    of_x = -h / root
    group["blend"] = blend
    return _Step(momentum, of_x + blend * (-of_x - q), of_x, group["weight_decay"])


def _move(y: list[Tensor], x: list[Tensor], grads: list[Tensor], step: _Step) -> None:
    """From (x, y) to the next, in place."""
    require(
        all(g.layout == torch.strided for g in grads),
        "AcceleratedSGD got a sparse gradient; it moves every weight at every step, try "
        "sparse=False in the embedding, or torch.optim.SGD",
    )
    torch._foreach_lerp_(y, x, -step.momentum)
    torch._foreach_lerp_(x, y, 1 / (1 + step.momentum))  # this is the y from before
    if step.weight_decay != 0:
        torch._foreach_add_(y, x, alpha=step.of_y * step.weight_decay)
        torch._foreach_mul_(x, 1 + step.of_x * step.weight_decay)
    torch._foreach_add_(y, grads, alpha=step.of_y)
    torch._foreach_add_(x, grads, alpha=step.of_x)
