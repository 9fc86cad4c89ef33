"""Targeted APGD: one climb towards each of the wrong classes that come next."""

from dataclasses import dataclass
from typing import final

import torch

from wellposed.errors import require
from wellposed.perturb._apgd import begin_climb, checkpoint_gaps, climb, climb_length
from wellposed.perturb._attack import Attack
from wellposed.perturb._ball import Ball
from wellposed.perturb._objective import DLR, Margin
from wellposed.perturb._rows import Rows

_BEHIND = 1.5  # times the least margin so far: a climb that is farther out seldom breaks anything


@final
@dataclass(frozen=True)
class TargetedAPGD(Attack):
    """APGD with the targeted DLR objective, once per target.

    The targets of an example are the wrong classes in the order of their logits at the input, and
    the search stops at the first one that breaks it. With fewer than four classes, where DLR is
    not defined, the objective is the targeted margin.

    Args:
        steps: Per target, at least 1, in the L1 norm at least 4.
        targets: How many classes are tried, at least 1; at most all wrong ones.
        race: Whether a climb is given up at its first checkpoint, after 0.22 of its steps, if by
            then the least margin it has seen is more than 1.5 times that of the targets before
            it. Not in the L1 norm, where climbs begin outside of the ball.

    Raises:
        ArgumentError: Outside these ranges.

    Cost: as `APGD` with one restart per target; in a race 0.22 of it for a target that is given up.

    References:
        Croce and Hein, Reliable evaluation of adversarial robustness with an ensemble of diverse
        parameter-free attacks, 2020, arXiv:2003.01690. The race is ours.
    """

    steps: int = 100
    targets: int = 9
    race: bool = False

    def __post_init__(self) -> None:
        require(self.steps >= 1, f"TargetedAPGD needs at least 1 step, got steps={self.steps}")
        require(self.targets >= 1, f"TargetedAPGD needs at least 1 target, got {self.targets}")

    def length(self, ball: Ball) -> int:
        """Each step, and the last point."""
        return climb_length(self.steps, ball)

    def rounds(self, classes: int) -> int:
        """The targets, as far as there are wrong classes."""
        return min(self.targets, classes - 1)

    def start(self, rows: Rows) -> None:
        """At a random point, with the next wrong class as the target."""
        begin_climb(rows)
        rows.state["known"] = rows.margin.clone()
        rows.state["nearest"] = torch.full_like(rows.margin, torch.inf)
        order = rows.clean.argsort(dim=1, descending=True, stable=True)
        rows.state["target"] = order.gather(1, rows.round.unsqueeze(1) + 1).squeeze(1)

    def step(self, rows: Rows) -> None:
        """One step towards the target."""
        state, racing = rows.state, self.race and rows.game.ball.norm != "l1"
        four = rows.clean.shape[1] >= 4
        objective = DLR(state["target"]) if four else Margin(state["target"])
        climb(rows, self.steps, objective)
        if racing:
            state["nearest"] = torch.minimum(state["nearest"], rows.seen.to(state["nearest"]))
            first = max(checkpoint_gaps(self.steps))  # the gaps shrink, so that it ends the longest
            behind = (rows.clock == first) & (state["nearest"] > _BEHIND * state["known"])
            rows.columns["clock"] = torch.where(behind, rows.game.length - 1, rows.clock)
