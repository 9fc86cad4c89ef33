"""FGSM: one step as long as the ball allows."""

from dataclasses import dataclass, field
from typing import final

from wellposed.perturb._attack import Attack
from wellposed.perturb._ball import Ball
from wellposed.perturb._objective import Margin, Objective
from wellposed.perturb._rows import Rows


@final
@dataclass(frozen=True)
class FGSM(Attack):
    r"""The fast gradient sign method, in any norm.

    $$x' = P\big(x + \varepsilon\, v(\nabla_x \ell(x))\big)$$

    with the projection P onto ball and bounds, the objective $\ell$, and the steepest direction v
    of the norm for the coordinates that no bound keeps where they are. Exact for linear models
    away from the bounds, weak for others.

    Args:
        objective: What is made large.

    Cost: one gradient and one forward pass per example, and one forward pass at the inputs.

    References:
        Goodfellow, Shlens and Szegedy, Explaining and harnessing adversarial examples, 2014,
        arXiv:1412.6572.
    """

    objective: Objective = field(default_factory=Margin)

    def length(self, _ball: Ball) -> int:
        """The inputs, and the points found from them."""
        return 2

    def start(self, rows: Rows) -> None:
        """At the inputs."""
        rows.state["x"] = rows.begin(random=False)

    def step(self, rows: Rows) -> None:
        """The gradient, then the step."""
        x = rows.state["x"]
        _, slope = rows.gradient(x, self.objective)
        rows.state["x"] = rows.project(x + rows.game.ball.eps * rows.uphill(x, slope))
