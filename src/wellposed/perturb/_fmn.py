"""FMN: a ball that shrinks where an example breaks, and grows where it does not."""

from dataclasses import dataclass
from math import pi
from typing import final

import torch
from torch import Tensor

from wellposed.errors import require
from wellposed.perturb._attack import Attack
from wellposed.perturb._ball import Ball, flat, like_rows
from wellposed.perturb._l2 import L2
from wellposed.perturb._objective import Margin, is_broken
from wellposed.perturb._rows import Rows

_LAST_RATE = 0.001  # by which the radius changes in the last step
_LAST_STEP = 0.01  # the last step, in units of the first
_SMALL, _LARGE = 1e-30, 1e30  # of radii: by these, perturbations are divided
_STEEPEST = L2(1.0)  # steps follow the gradient itself, whatever the norm of the ball
_DUALS = {"linf": 1, "l2": 2, "l1": torch.inf}


@final
@dataclass(frozen=True)
class FMN(Attack):
    r"""The fast minimum-norm attack: the nearest point that breaks, in any norm.

    Each example has a radius $r_k$ of its own:

    $$r_{k+1} = \begin{cases}
    \min\big((1 - \gamma_k)\, r_k,\ \|\delta^*\|\big) & \text{where } x + \delta_k \text{ breaks,}\\
    (1 + \gamma_k)\, r_k & \text{where only an earlier point did,}\\
    (1 + \gamma_k)\,(\|\delta_k\| + |m| / \|\nabla m\|_*) & \text{where none did yet}
    \end{cases}$$

    with the smallest perturbation $\delta^*$ so far that breaks, and the margin m; the last factor,
    which is 1 in the paper, lets a linear model break. A step along the gradient over its Euclidean
    norm follows, and the projection onto the new ball and the bounds. Step length and $\gamma$ fall
    along a half cosine, to 1 % and to 0.001.

    In a ball of finite radius no $r_k$ is larger than that, and only what lies inside counts. With
    an infinite one, `break_distances` gives an upper bound of each example's distance to the
    nearest point that breaks.

    Args:
        steps: At least 1.
        step_size: Length of the first step, in the units of the inputs, positive.
        gamma: First change of the radius, relative, in (0, 1).

    Raises:
        ArgumentError: Outside these ranges.

    Cost: `steps` gradients and one forward pass per example, one forward pass at the inputs, and
    one for each new smallest perturbation.

    References:
        Pintor, Roli, Brendel and Biggio, Fast minimum-norm adversarial attacks through adaptive
        norm constraints, 2021, arXiv:2102.12827.
    """

    steps: int = 100
    step_size: float = 1.0
    gamma: float = 0.05
    smallest = True

    def __post_init__(self) -> None:
        require(self.steps >= 1, f"FMN needs at least 1 step, got steps={self.steps}")
        require(self.step_size > 0, f"FMN needs step_size > 0, got {self.step_size}")
        require(0 < self.gamma < 1, f"FMN needs gamma in (0, 1), got gamma={self.gamma}")

    def length(self, _ball: Ball) -> int:
        """Each step, and the last point."""
        return self.steps + 1

    def start(self, rows: Rows) -> None:
        """At the input, with a radius that is not known yet."""
        rows.state |= {
            "x": rows.begin(random=False),
            "radius": torch.full_like(rows.size, torch.inf),
        }

    def step(self, rows: Rows) -> None:
        """The margin and its gradient, the new radius, the step, and the projection."""
        state, x = rows.state, rows.state["x"]
        value, slope = rows.gradient(x, Margin())
        share = (1 + (pi * rows.clock / self.steps).cos()) / 2
        rate = _LAST_RATE + (self.gamma - _LAST_RATE) * share
        length = self.step_size * (_LAST_STEP + (1 - _LAST_STEP) * share)
        state["radius"] = radius = _radius(rows, value.double(), slope, rate.double())
        ahead = x.double() + like_rows(length, x) * _STEEPEST.steepest(slope)
        state["x"] = rows.project(_within(rows, ahead, radius))


def _radius(rows: Rows, value: Tensor, slope: Tensor, rate: Tensor) -> Tensor:
    """The radius of each row's next ball."""
    ball, radius, x = rows.game.ball, rows.state["radius"], rows.state["x"]
    shrunk = torch.minimum(radius * (1 - rate), rows.size)
    size = torch.linalg.vector_norm(flat(slope).double(), _DUALS[ball.norm], dim=1)
    guess = ball.distance(x, rows.center) + (value.abs() / size).nan_to_num(torch.inf)
    held = torch.where(rows.broken, radius, guess) * (1 + rate)
    new = torch.where(is_broken(-value), shrunk, held)
    low, high = rows.faces
    corner = torch.maximum(rows.center - low, high - rows.center)
    most = ball.distance(corner, torch.zeros_like(corner)).clamp(_SMALL, min(ball.eps, _LARGE))
    return torch.minimum(new, most).clamp_min(_SMALL)


def _within(rows: Rows, x: Tensor, radius: Tensor) -> Tensor:
    """The nearest points of each row's own ball and of the bounds, in units of its radius."""
    unit, radii, center = rows.game.ball.resized(1.0), like_rows(radius, x), rows.center.double()
    low, high = ((face.double() - center) / radii for face in rows.faces)
    move = unit.project((x - center) / radii, torch.zeros_like(x), (low, high))
    return center + radii * move
