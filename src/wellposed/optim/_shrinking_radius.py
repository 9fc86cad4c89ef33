"""The radii of finite differences that go with Robbins-Monro steps."""

from dataclasses import dataclass
from typing import final

from wellposed.errors import require
from wellposed.optim._schedules import Schedule


@final
@dataclass(frozen=True)
class ShrinkingRadius(Schedule):
    r"""Radii $c_k = c / (k + A)^q$ of finite differences, slow enough not to amplify the noise.

    The factor is $(A / (k + A))^q$, the partner of `RobbinsMonro` with power $p$ for the steps
    $a_k$: $c_k \to 0$ removes the bias of the differences, $\sum (a_k / c_k)^2 < \infty$ averages
    their noise away, which requires $q < p - 1/2$. $q = 1/6$ is the best where the loss has a
    bounded third derivative and $p = 1$, $q = 1/3$ the classical choice.

    Args:
        warmup: Fraction of all steps spent rising to 1, in [0, 1).
        offset: $A > 0$, in steps.
        power: $q$, above 0 and below `step_power` - 1/2.
        step_power: $p$ of the steps it goes with, above 1/2 and at most 1.

    Raises:
        ArgumentError: If the conditions do not hold.

    References:
        Kiefer and Wolfowitz, Stochastic estimation of the maximum of a regression function, 1952;
        Spall, Implementation of the simultaneous perturbation algorithm, 1998.
    """

    offset: float = 1.0
    power: float = 1 / 6
    step_power: float = 1.0

    def __post_init__(self) -> None:
        self._check()
        require(
            self.offset > 0,
            f"ShrinkingRadius got offset={self.offset:g}; it is a positive number of steps, try 1",
        )
        check_powers(type(self).__name__, self.step_power, self.power)

    def shape(self, step: float, total: float) -> float:  # noqa: ARG002 - without end
        """The power law."""
        return power_law(step, self.offset, self.power)


def power_law(step: float, offset: float, power: float) -> float:
    """1 at step 0, and falling as step to the minus `power`."""
    return float((offset / (step + offset)) ** power)


def check_powers(name: str, step_power: float, radius_power: float) -> None:
    """Refuse exponents with which stochastic approximation from values does not converge."""
    require(
        0.5 < step_power <= 1,
        f"{name} got a step power of {step_power:g}; the steps sum to infinity and their squares "
        "do not only for a power above 1/2 and at most 1, try 1",
    )
    require(
        0 < radius_power < step_power - 0.5,
        f"{name} got a radius power of {radius_power:g} with a step power of {step_power:g}; the "
        "radii shrink, and the squares of steps over radii have a finite sum, only for one above "
        f"0 and below {step_power - 0.5:g}, try {(step_power - 0.5) / 3:.3g}",
    )
