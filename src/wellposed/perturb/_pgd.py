"""PGD: steps of one length, each projected back."""

from dataclasses import dataclass, field
from typing import final

from wellposed.errors import require
from wellposed.perturb._attack import Attack
from wellposed.perturb._ball import Ball
from wellposed.perturb._objective import Margin, Objective
from wellposed.perturb._rows import Rows


@final
@dataclass(frozen=True)
class PGD(Attack):
    r"""Projected gradient ascent in any norm.

    $$x_{t+1} = P\big(x_t + \alpha\, v(\nabla_x \ell(x_t))\big)$$

    with the projection P onto ball and bounds, and the steepest direction v of the norm for the
    coordinates that no bound keeps where they are. In the L1 norm a step moves one coordinate;
    `APGD` moves as many as help.

    Args:
        steps: K, at least 1.
        step_size: $\alpha > 0$, in the units of the inputs; None takes 2.5 eps/K, with which any
            point of the ball can be reached from any other.
        objective: What is made large.
        restarts: How often an example that does not break is attacked, at least 1.
        random: Whether to start at a random point of the ball, rather than at the input.

    Raises:
        ArgumentError: Outside these ranges.

    Cost: per restart at most K gradients and one forward pass per example, and one forward pass
    at the inputs. An example that breaks costs no more from then on.

    References:
        Madry, Makelov, Schmidt, Tsipras and Vladu, Towards deep learning models resistant to
        adversarial attacks, 2017, arXiv:1706.06083.
    """

    steps: int = 40
    step_size: float | None = None
    objective: Objective = field(default_factory=Margin)
    restarts: int = 1
    random: bool = True

    def __post_init__(self) -> None:
        require(self.steps >= 1, f"PGD needs at least 1 step, got steps={self.steps}")
        require(self.restarts >= 1, f"PGD needs restarts of at least 1, got {self.restarts}")
        require(
            self.step_size is None or self.step_size > 0,
            f"PGD needs step_size > 0, got {self.step_size}; leave it out for 2.5 eps/steps",
        )

    def length(self, _ball: Ball) -> int:
        """Each step, and the last point."""
        return self.steps + 1

    def rounds(self, _classes: int) -> int:
        """The restarts."""
        return self.restarts

    def start(self, rows: Rows) -> None:
        """At a random point, or at the input."""
        rows.state["x"] = rows.begin(random=self.random)

    def step(self, rows: Rows) -> None:
        """The gradient, then the step."""
        x, ball = rows.state["x"], rows.game.ball
        size = 2.5 * ball.eps / self.steps if self.step_size is None else self.step_size
        _, slope = rows.gradient(x, self.objective)
        rows.state["x"] = rows.project(x + size * rows.uphill(x, slope))
