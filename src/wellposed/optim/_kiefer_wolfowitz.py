"""Kiefer-Wolfowitz: stochastic descent along central differences."""

from collections.abc import Callable
from itertools import product
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from wellposed.errors import require
from wellposed.optim._shrinking_radius import check_powers, power_law
from wellposed.optim._zeroth_order import ZerothOrder


class KieferWolfowitz(ZerothOrder):
    r"""Stochastic descent with a central difference along each coordinate instead of a gradient.

    $$g_{k,i} = \frac{f(x_k + c_k e_i) - f(x_k - c_k e_i)}{2 c_k},
    \qquad x_{k+1} = x_k - a_k g_k$$
    $$a_k = a \Bigl(\frac{A + 1}{A + k + 1}\Bigr)^p, \qquad c_k = \frac{c}{(k + 1)^q}$$

    It converges where $c_k \to 0$, $\sum a_k = \infty$, $\sum a_k c_k < \infty$ and
    $\sum (a_k / c_k)^2 < \infty$, which is checked. The bias of $g_k$ is $c_k^2 f^{(3)}/6$: none on
    quadratics. With $p = 1$, $q = 1/6$ and $a$ above half the inverse curvature, the mean squared
    error falls as $k^{-2/3}$, against $k^{-1}$ with gradients.

    Cost: 2n evaluations of the loss per step for n weights; no gradients, no graph. Memory: one
    gradient, during a step.

    Args:
        params: Parameters or parameter groups.
        lr: $a \ge 0$, the first step size; schedulers multiply on top.
        radius: $c > 0$, the first radius of the differences, in units of the weights.
        power: $p$ of the steps, above 1/2 and at most 1.
        radius_power: $q$ of the radii, above 1 - p and below p - 1/2: 1/3 is classical, 1/6 best
            for a loss with a bounded third derivative.
        offset: $A \ge 0$ in steps: how long the first step size lasts, about.
        max_evaluations: More evaluations per step than this are refused.

    Raises:
        ArgumentError: If a value is out of range, the conditions do not hold, or there are too
            many weights.

    References:
        Kiefer and Wolfowitz, Stochastic estimation of the maximum of a regression function, 1952.
    """

    citation: ClassVar[str] = """\
@article{kiefer1952stochastic,
  author  = {Kiefer, Jack and Wolfowitz, Jacob},
  title   = {Stochastic Estimation of the Maximum of a Regression Function},
  journal = {The Annals of Mathematical Statistics},
  volume  = {23},
  number  = {3},
  pages   = {462--466},
  year    = {1952}
}"""

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 0.1,
        radius: float = 0.1,
        *,
        power: float = 1.0,
        radius_power: float = 1 / 6,
        offset: float = 0.0,
        max_evaluations: int = 20_000,
    ) -> None:
        defaults = {
            "lr": lr,
            "radius": radius,
            "power": power,
            "radius_power": radius_power,
            "offset": offset,
            "max_evaluations": max_evaluations,
        }
        super().__init__(params, defaults)

    def _iterate(self, value: Callable[[], float]) -> None:
        """Differences along all coordinates, then one move."""
        found = []
        for group in self.param_groups:
            radius = group["radius"] * power_law(group["iteration"], 1.0, group["radius_power"])
            for p in group["params"]:
                places = product(*(range(n) for n in p.shape))
                slopes = [_slope(p[place], radius, value) for place in places]
                gradient = torch.tensor(slopes, dtype=p.dtype, device=p.device).view(p.shape)
                found.append((p, gradient, step_size(group)))
        for p, gradient, lr in found:
            p.add_(gradient, alpha=-lr)

    def _check_group(self, group: dict[str, Any]) -> None:
        """The conditions of convergence, and the cost of a step."""
        super()._check_group(group)
        check_gains(type(self).__name__, group)
        power, radius_power = group["power"], group["radius_power"]
        require(
            power + radius_power > 1,
            f"KieferWolfowitz got radius_power={radius_power:g} with power={power:g}; steps times "
            "radii have a finite sum only where the two add up to more than 1, try the defaults",
        )
        weights = sum(p.numel() for g in self.param_groups for p in g["params"])
        require(
            2 * weights <= group["max_evaluations"],
            f"KieferWolfowitz got {weights:,} weights, so a step would evaluate the loss "
            f"{2 * weights:,} times, above max_evaluations={group['max_evaluations']:,}; try "
            "SPSA, which takes 2",
        )


def check_gains(name: str, group: dict[str, Any]) -> None:
    """Refuse sequences of steps and radii that do not converge."""
    check_powers(name, group["power"], group["radius_power"])
    offset = group["offset"]
    require(offset >= 0, f"{name} got offset={offset:g}; it is at least 0 steps, try 100")


def step_size(group: dict[str, Any]) -> float:
    """a_k of a group: its lr at first, falling by a power law."""
    factor = power_law(group["iteration"], group["offset"] + 1.0, group["power"])
    return float(group["lr"]) * factor


def _slope(weight: Tensor, radius: float, value: Callable[[], float]) -> float:
    """The central difference along one weight, a view of shape (), which is put back exactly.

    It is divided by the distance of the two points as they were rounded, not by 2 c.
    """
    kept = weight.clone()
    try:
        above = float(weight.add_(radius))
        at_above = value()
        below = float(weight.copy_(kept).sub_(radius))
        at_below = value()
    finally:
        weight.copy_(kept)
    require(
        above > below,
        f"KieferWolfowitz cannot tell {float(kept):g} from itself plus radius={radius:g} in "
        f"{weight.dtype}; try a larger radius",
    )
    return (at_above - at_below) / (above - below)
