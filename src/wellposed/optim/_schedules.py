"""Step sizes, and any other key of a parameter group, as functions of the step."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import cos, pi
from typing import final

from wellposed.errors import require


@dataclass(frozen=True)
class Schedule(ABC):
    """A factor for a value that changes while training, a pure function of the step.

    Called with (step, total), step counted from 0. It rises linearly over the first
    `warmup * total` steps, then follows its shape; beyond `total` it keeps its last value.

    Args:
        warmup: Fraction of all steps spent rising to 1, in [0, 1).
    """

    warmup: float = 0.0

    def __post_init__(self) -> None:
        self._check()

    def __call__(self, step: int, total: int) -> float:
        """The factor by which the initial value is multiplied at this step."""
        require(total > 0, f"a schedule got total={total} steps; it needs at least 1")
        require(step >= 0, f"a schedule got step={step}; steps are counted from 0")
        rise = self.warmup * total
        if step < rise:
            return (step + 1) / (rise + 1)
        return self.shape(min(step, total) - rise, total - rise)

    @abstractmethod
    def shape(self, step: float, total: float) -> float:
        """The factor at this step after the warm-up; 1 at step 0."""

    def _check(self) -> None:
        """Refuse what is out of range."""
        name = type(self).__name__
        require(
            0 <= self.warmup < 1,
            f"{name} got warmup={self.warmup:g}; it is the fraction of steps spent rising, "
            "at least 0 and below 1, try 0.05",
        )
        final_value = getattr(self, "final", 0.0)
        require(
            final_value >= 0,
            f"{name} got final={final_value:g}; it is the last factor, at least 0, try 0",
        )


@final
@dataclass(frozen=True)
class Constant(Schedule):
    """1 throughout, after the warm-up."""

    def shape(self, step: float, total: float) -> float:  # noqa: ARG002 - constant
        """1."""
        return 1.0


@final
@dataclass(frozen=True)
class Cosine(Schedule):
    r"""Half a cosine from 1 down to `final`.

    $$f + (1 - f)\,\tfrac12\bigl(1 + \cos(\pi k / K)\bigr)$$

    Args:
        warmup: Fraction of all steps spent rising to 1, in [0, 1).
        final: The factor $f \ge 0$ at the end.

    References:
        Loshchilov and Hutter, SGDR, 2017, arXiv:1608.03983 (without restarts).
    """

    final: float = 0.0

    def shape(self, step: float, total: float) -> float:
        """The cosine."""
        return self.final + (1 - self.final) * 0.5 * (1 + cos(pi * step / total))


@dataclass(frozen=True)
class Linear(Schedule):
    """A straight line from 1 down to `final`.

    Args:
        warmup: Fraction of all steps spent rising to 1, in [0, 1).
        final: The factor at the end, at least 0.
    """

    final: float = 0.0

    def shape(self, step: float, total: float) -> float:
        """The line."""
        return 1 + (self.final - 1) * (step / total)


@final
@dataclass(frozen=True)
class Triangle(Linear):
    """Up in a straight line to 1, down in a straight line to `final`: `Linear` with a long warm-up.

    Args:
        warmup: Where the peak is, as a fraction of all steps, in [0, 1).
        final: The factor at the end, at least 0.

    References:
        Smith, Cyclical learning rates, 2017, arXiv:1506.01186 (one cycle of the triangular policy).
    """

    warmup: float = 0.3


@final
@dataclass(frozen=True)
class Milestones(Schedule):
    """Constant, multiplied by `factor` at each milestone.

    Args:
        warmup: Fraction of all steps spent rising to 1, in [0, 1).
        at: The milestones as fractions of the steps after the warm-up, rising, in (0, 1).
        factor: By what to multiply, positive.
    """

    at: tuple[float, ...] = (0.5, 0.75)
    factor: float = 0.1

    def __post_init__(self) -> None:
        self._check()
        rising = all(a < b for a, b in zip((0.0, *self.at), (*self.at, 1.0), strict=True))
        require(
            rising,
            f"Milestones got at={list(self.at)}; they are rising fractions of the steps, above 0 "
            "and below 1, try [0.5, 0.75]",
        )
        require(self.factor > 0, f"Milestones got factor={self.factor:g}; it is positive, try 0.1")

    def shape(self, step: float, total: float) -> float:
        """The staircase."""
        return self.factor ** sum(step >= milestone * total for milestone in self.at)


@final
@dataclass(frozen=True)
class RobbinsMonro(Schedule):
    r"""Steps $a_k = a / (k + A)^p$ that make stochastic approximation converge.

    The factor is $(A / (k + A))^p$, so that the group's own value is the first step $a / A^p$.
    $\sum a_k = \infty$ reaches any distance and $\sum a_k^2 < \infty$ averages the noise away;
    together they require $1/2 < p \le 1$. It does not depend on the total number of steps, but
    for the warm-up.

    Args:
        warmup: Fraction of all steps spent rising to 1, in [0, 1).
        offset: $A > 0$, in steps: how long the first step size lasts, about.
        power: $p$, above 1/2 and at most 1. Near 1/2 with averaging (Polyak), 1 without.

    Raises:
        ArgumentError: If the conditions do not hold.

    References:
        Robbins and Monro, A stochastic approximation method, 1951.
    """

    offset: float = 100.0
    power: float = 1.0

    def __post_init__(self) -> None:
        self._check()
        require(
            self.offset > 0,
            f"RobbinsMonro got offset={self.offset:g}; it is a positive number of steps, try 100",
        )
        require(
            0.5 < self.power <= 1,
            f"RobbinsMonro got power={self.power:g}; the steps sum to infinity and their squares "
            "do not only for a power above 1/2 and at most 1, try 0.75",
        )

    def shape(self, step: float, total: float) -> float:  # noqa: ARG002 - without end
        """The power law."""
        return float((self.offset / (step + self.offset)) ** self.power)
