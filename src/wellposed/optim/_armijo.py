"""The line search: halve the step until the loss has decreased by enough."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

C1 = 1e-4


@final
@dataclass(frozen=True, slots=True)
class Trial:
    r"""Where a line search ended.

    Args:
        alpha: Accepted step length; 0 if none was found.
        loss: $E(w + \alpha d)$.
        trials: Evaluations of the loss that it took.
    """

    alpha: float
    loss: float
    trials: int

    @property
    def following(self) -> float:
        """The step length to try first in the next search: the last, or twice it if it was easy."""
        return 2.0 * self.alpha if self.trials == 1 else self.alpha


def armijo(
    loss_at: Callable[[float], float],
    loss: float,
    slope: float,
    first: float,
    *,
    c1: float = C1,
    max_trials: int = 20,
) -> Trial:
    r"""The largest of $\alpha_0, \alpha_0/2, \alpha_0/4, \dots$ that decreases the loss by enough.

    $$E(w + \alpha d) \le E(w) + c_1\, \alpha\, g^\top d$$

    A loss that is not finite is no decrease. The condition is taken as it stands, without allowance
    for rounding: where the decrease is below the last digit of the loss, nothing is accepted.

    Args:
        loss_at: $\alpha \mapsto E(w + \alpha d)$.
        loss: E(w).
        slope: $g^\top d < 0$.
        first: $\alpha_0 > 0$.
        c1: In (0, 1/2) for Newton's step to be accepted near a minimum.
        max_trials: Limit of evaluations.

    References:
        Armijo, Minimization of functions having Lipschitz continuous first partial derivatives,
        1966.
    """
    alpha = first
    for trial in range(1, max_trials + 1):
        found = loss_at(alpha)
        if math.isfinite(found) and found <= loss + c1 * alpha * slope:
            return Trial(alpha, found, trial)
        alpha /= 2
    return Trial(0.0, loss, max_trials)
