"""APGD: momentum, and a step length that is halved where it no longer helps."""

from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor

from wellposed.errors import require
from wellposed.perturb._apgd_l1 import PHASES, begin_sparse, keep_top, step_sparse
from wellposed.perturb._attack import Attack
from wellposed.perturb._ball import Ball, like_rows
from wellposed.perturb._objective import Margin, Objective
from wellposed.perturb._rows import Rows, Values

_MOMENTUM = 0.75  # weight of the new step; the rest is the step before
_RISES = 0.75  # of the steps between two checkpoints: with fewer, the step is too long


@final
@dataclass(frozen=True)
class APGD(Attack):
    r"""Auto-PGD: projected gradient ascent that chooses its step length by itself.

    $$z = P\big(x_t + \eta_t\, v(\nabla \ell(x_t))\big), \qquad
    x_{t+1} = P\big(x_t + \tfrac34 (z - x_t) + \tfrac14 (x_t - x_{t-1})\big)$$

    with $\eta_0 = 2\varepsilon$. At checkpoints, $\eta$ is halved and the search goes on from the
    best point so far, if the objective rose in at most three quarters of the steps since the last
    one, or if $\eta$ was kept there and the best value is the same. Of N steps the first checkpoint
    is at 0.22 N, and the gaps between them shrink by 0.03 N, to 0.06 N.

    In the L1 norm it is the sparse variant: steps along the signs of the largest derivatives, how
    many of them following from the best point's own sparsity, in balls of 3 eps, 2 eps and eps for
    0.3, 0.3 and 0.4 of the steps.

    Args:
        steps: N, at least 1, in the L1 norm at least 4.
        objective: What is made large. AutoAttack takes `CrossEntropy` here.
        restarts: How often an example that does not break is attacked, at least 1.
        leap: Whether to begin, in the first round, a whole radius along the gradient at the input,
            rather than at a random point. Not in the L1 norm.

    Raises:
        ArgumentError: Outside these ranges.

    Cost: per restart at most N gradients and one forward pass per example (N + 2 gradients in the
    L1 norm), and one forward pass at the inputs, or with `leap` one gradient there.

    References:
        Croce and Hein, Reliable evaluation of adversarial robustness with an ensemble of diverse
        parameter-free attacks, 2020, arXiv:2003.01690; Mind the box: l1-APGD for sparse
        adversarial attacks on image classifiers, 2021, arXiv:2103.01208.
    """

    steps: int = 100
    objective: Objective = field(default_factory=Margin)
    restarts: int = 1
    leap: bool = False

    @property
    def opening(self) -> Objective | None:
        """The objective, if the gradient at the inputs says where to begin."""
        return self.objective if self.leap else None

    def __post_init__(self) -> None:
        require(self.steps >= 1, f"APGD needs at least 1 step, got steps={self.steps}")
        require(self.restarts >= 1, f"APGD needs restarts of at least 1, got {self.restarts}")

    def length(self, ball: Ball) -> int:
        """Each step, and the last point."""
        return climb_length(self.steps, ball)

    def rounds(self, _classes: int) -> int:
        """The restarts."""
        return self.restarts

    def start(self, rows: Rows) -> None:
        """At a random point, uniform in the ball, or where the gradient at the input points."""
        begin_climb(rows)

    def step(self, rows: Rows) -> None:
        """The objective and its gradient, what they say about the step length, and the step."""
        climb(rows, self.steps, self.objective)


def climb_length(steps: int, ball: Ball) -> int:
    """How many points are evaluated in a round.

    Raises `ArgumentError` for an L1 ball and fewer than 4 steps.
    """
    if ball.norm != "l1":
        return steps + 1
    require(steps >= 4, f"APGD in the L1 norm needs at least 4 steps, got steps={steps}")
    return steps + len(PHASES)


def begin_climb(rows: Rows) -> None:
    """The state of rows whose round begins."""
    if rows.game.ball.norm == "l1":
        begin_sparse(rows)
        return
    x = rows.leap()
    size = torch.full_like(rows.margin, 2 * rows.game.ball.eps)
    rows.state |= {
        "x": x,
        "previous": x.clone(),
        "value": torch.full_like(size, torch.inf),  # the first point is no rise
        "top": x.clone(),
        "top_slope": torch.zeros_like(x),
        "top_value": torch.full_like(size, -torch.inf),
        "checked": torch.full_like(size, -torch.inf),
        "size": size,
        "rises": torch.zeros_like(rows.index),
        "halved": torch.ones_like(rows.broken),
    }


def climb(rows: Rows, steps: int, objective: Values) -> None:
    """One step towards a larger objective."""
    if rows.game.ball.norm == "l1":
        step_sparse(rows, steps, objective)
        return
    state, x = rows.state, rows.state["x"]
    value, slope = rows.gradient(x, objective)
    value = value.to(state["value"])
    state["rises"] += value > state["value"]
    state["value"] = value
    keep_top(state, x, slope, value)
    gaps = torch.tensor(checkpoint_gaps(steps), device=x.device)[rows.clock]
    x, slope = _checked(state, x, slope, gaps)
    momentum = torch.where(rows.clock > 0, _MOMENTUM, 1.0).to(x)
    share, inertia = like_rows(momentum, x), like_rows(1 - momentum, x)
    ahead = rows.project(x + like_rows(state["size"], x).to(x) * rows.game.ball.steepest(slope))
    state["x"] = rows.project(x + share * (ahead - x) + inertia * (x - state["previous"]))
    state["previous"] = x


def checkpoint_gaps(steps: int) -> list[int]:
    """For each of the points 0 to N, the steps since the last checkpoint if it is one, else 0."""
    gaps = [0] * (steps + 1)
    gap, at = max(int(0.22 * steps), 1), 0
    while at + gap <= steps:
        at += gap
        gaps[at] = gap
        gap = max(gap - max(int(0.03 * steps), 1), int(0.06 * steps), 1)
    return gaps


def _checked(
    state: dict[str, Tensor], x: Tensor, slope: Tensor, gaps: Tensor
) -> tuple[Tensor, Tensor]:
    """Where to go on from: at a checkpoint that halves the step, from the best point."""
    due = gaps > 0
    if not due.any():
        return x, slope
    few = state["rises"] <= _RISES * gaps
    stuck = ~state["halved"] & (state["checked"] >= state["top_value"])
    halve = due & (few | stuck)
    state["halved"] = torch.where(due, halve, state["halved"])
    state["checked"] = torch.where(due, state["top_value"], state["checked"])
    state["rises"] = torch.where(due, 0, state["rises"])
    state["size"] = torch.where(halve, state["size"] / 2, state["size"])
    back = like_rows(halve, x)
    return torch.where(back, state["top"], x), torch.where(back, state["top_slope"], slope)
