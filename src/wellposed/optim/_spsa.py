"""SPSA: one random direction for all weights at once."""

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from wellposed.errors import require
from wellposed.optim._directions import direction
from wellposed.optim._kiefer_wolfowitz import check_gains, step_size
from wellposed.optim._shrinking_radius import power_law
from wellposed.optim._zeroth_order import ZerothOrder

Weights = list[tuple[Tensor, float, float]]
"""Each parameter with its radius and step size."""


class SPSA(ZerothOrder):
    r"""Simultaneous perturbation: two values of the loss per step, however many weights there are.

    $$g_k = \frac{f(x_k + c_k \Delta) - f(x_k - c_k \Delta)}{2 c_k}\,\Delta,
    \qquad x_{k+1} = x_k - a_k g_k$$
    $$a_k = a \Bigl(\frac{A + 1}{A + k + 1}\Bigr)^{p}, \qquad c_k = \frac{c}{(k + 1)^{q}}$$

    $\Delta$ has independent signs (Rademacher), so $1/\Delta_i = \Delta_i$ and on quadratics the
    mean of $g_k$ is the gradient; elsewhere its bias is $O(c_k^2)$. Its variance is about n - 1
    times the squared norm of the gradient, so `lr` has to be smaller than SGD's by about n, the
    number of weights that matter; averaging m directions divides it by m. The defaults of $p$ and
    $q$ are Spall's, the slowest that converge; his $a$ is `lr` times $(A + 1)^p$.

    Cost: 2m evaluations of the loss per step; no gradients, no graph. Memory: three copies of the
    weights, during a step (`MeZO` does without). In bfloat16 and float16 steps below the rounding
    are lost.

    Args:
        params: Parameters or parameter groups.
        lr: $a \ge 0$, the first step size; schedulers multiply on top. For a perceptron of 7,510
            weights on digits, 1e-2 was best and 3e-2 diverged.
        radius: $c > 0$, the first radius in each weight; about the standard deviation of the
            noise of the loss, or the smallest at which the difference stands above rounding.
        power: $p$ of the steps, above 1/2 and at most 1.
        radius_power: $q$ of the radii, above 0 and below p - 1/2.
        offset: $A \ge 0$ in steps; Spall: a tenth of all steps.
        directions: $m \ge 1$, directions to average.
        distribution: "rademacher", or "gaussian" for $\Delta \sim N(0, I)$ (random gradient-free
            descent), whose variance is higher.
        noise_seed: With the counters it determines all directions.

    Raises:
        ArgumentError: If a value is out of range or the conditions do not hold.

    References:
        Spall, Multivariate stochastic approximation using a simultaneous perturbation gradient
        approximation, 1992; Implementation of the simultaneous perturbation algorithm, 1998.
    """

    citation: ClassVar[str] = """\
@article{spall1992multivariate,
  author  = {Spall, James C.},
  title   = {Multivariate Stochastic Approximation Using a Simultaneous Perturbation Gradient
             Approximation},
  journal = {IEEE Transactions on Automatic Control},
  volume  = {37},
  number  = {3},
  pages   = {332--341},
  year    = {1992}
}"""

    def __init__(  # noqa: PLR0913 - one argument per symbol of the equation
        self,
        params: ParamsT,
        lr: float | Tensor = 3e-3,
        radius: float = 1e-2,
        *,
        power: float = 0.602,
        radius_power: float = 0.101,
        offset: float = 100.0,
        directions: int = 1,
        distribution: str = "rademacher",
        noise_seed: int = 0,
    ) -> None:
        defaults = {
            "lr": lr,
            "radius": radius,
            "power": power,
            "radius_power": radius_power,
            "offset": offset,
            "directions": directions,
            "distribution": distribution,
            "noise_seed": noise_seed,
        }
        super().__init__(params, defaults)

    def _iterate(self, value: Callable[[], float]) -> None:
        """Differences along the directions, and a move along their mean."""
        first = self.param_groups[0]
        weights = [
            (p, g["radius"] * power_law(g["iteration"], 1.0, g["radius_power"]), step_size(g))
            for g in self.param_groups
            for p in g["params"]
        ]
        kept = [p.clone() for p, _, _ in weights]
        total = [torch.zeros_like(p) for p in kept]
        for j in range(first["directions"]):
            signs = [
                direction(p, g["distribution"], g["noise_seed"], g["iteration"], i, j)
                for i, (p, g) in enumerate(_with_groups(self.param_groups))
            ]
            slope = _difference(weights, kept, signs, value) / first["directions"]
            for t, s, (_, radius, _) in zip(total, signs, weights, strict=True):
                t.add_(s.to(t.dtype), alpha=slope / radius)
        for t, (p, _, lr) in zip(total, weights, strict=True):
            p.add_(t, alpha=-lr)

    def _check_group(self, group: dict[str, Any]) -> None:
        """The conditions of convergence, and the directions, which all groups share."""
        super()._check_group(group)
        check_gains(type(self).__name__, group)
        m = group["directions"]
        require(
            isinstance(m, int) and m >= 1,
            f"SPSA got directions={m}; it is a whole number, at least 1",
        )
        require(
            m == self.param_groups[0]["directions"],
            f"SPSA got directions={m} for one group and {self.param_groups[0]['directions']} for "
            "another; all weights are perturbed at once, so give it for the optimizer",
        )
        require(
            group["distribution"] in {"rademacher", "gaussian"},
            f"SPSA got distribution={group['distribution']!r}; it is 'rademacher' or 'gaussian'",
        )


def _with_groups(groups: list[dict[str, Any]]) -> list[tuple[Tensor, dict[str, Any]]]:
    """Each parameter with its group."""
    return [(p, group) for group in groups for p in group["params"]]


def _difference(
    weights: Weights, kept: list[Tensor], signs: list[Tensor], value: Callable[[], float]
) -> float:
    """Half the difference of the loss along the signs; the weights are put back from the copy."""
    found = []
    try:
        for sign in (1.0, -1.0):
            for (p, radius, _), k, s in zip(weights, kept, signs, strict=True):
                p.copy_(k).add_((s * (sign * radius)).to(p.dtype))
            found.append(value())
    finally:
        for (p, _, _), k in zip(weights, kept, strict=True):
            p.copy_(k)
    return (found[0] - found[1]) / 2
