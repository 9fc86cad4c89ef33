"""A derivative that autograd claims, beside the one that differences find."""

from dataclasses import dataclass
from typing import final

from wellposed.audit._slope import Slope
from wellposed.runs import Threshold, Verdict

RESOLVED = 0.01
"""A difference quotient that is not known to a hundredth says nothing."""


@final
@dataclass(frozen=True)
class Compared:
    """Two derivatives that should be one.

    Args:
        what: "the gradient in the weights".
        claimed: By autograd.
        found: By differences.
        size: Of such a derivative in a random direction, as its standard deviation.
    """

    what: str
    claimed: float
    found: Slope
    size: float

    @property
    def scale(self) -> float:
        """What errors are relative to."""
        return max(abs(self.found.value), abs(self.claimed), self.size, 1e-300)

    @property
    def value(self) -> float:
        """Relative difference of the two."""
        return abs(self.claimed - self.found.value) / self.scale

    @property
    def error(self) -> float:
        """How far the differences themselves may be off, relative."""
        return self.found.error / self.scale

    @property
    def interval(self) -> tuple[float, float]:
        """The relative difference, less and more the error."""
        return max(self.value - self.error, 0.0), self.value + self.error

    @property
    def threshold(self) -> Threshold:
        """What the differences resolve."""
        return Threshold(
            max(1e-6, 10 * self.error),
            "above",
            "arithmetic",
            "10 times the error of the difference quotient: truncation as it changes with the "
            "step, rounding as More and Wild (2011) measure it; and at least 1e-6",
        )

    @property
    def verdict(self) -> Verdict:
        """FAIL if they differ by more than is explained, UNKNOWN if too little is resolved.

        What differs without a remainder of order 1 over the smallest steps is not proved wrong.
        """
        if not self.error <= RESOLVED:
            return Verdict.UNKNOWN
        judged = self.threshold.judge(self.interval)
        proved = judged is not Verdict.FAIL or self.found.linear(self.claimed)
        return judged if proved else Verdict.UNKNOWN

    @property
    def urgency(self) -> tuple[int, float]:
        """By which the worst of many is found: the verdict first, then the size."""
        order = [Verdict.PASS, Verdict.WARN, Verdict.UNKNOWN, Verdict.FAIL]
        return order.index(self.verdict), self.interval[1]


def worst_of(compared: list[Compared]) -> Compared:
    """The most urgent."""
    return max(compared, key=lambda pair: pair.urgency)
