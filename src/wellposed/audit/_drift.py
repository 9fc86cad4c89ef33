"""How sizes drift along the chains of a network, judged against what chance and float32 allow."""

import math
from dataclasses import dataclass
from typing import final

import numpy as np

from wellposed.audit._cause import Theory, theories
from wellposed.audit._chain import Chain, Propagation, width
from wellposed.audit._subject import Subject
from wellposed.audit._trend import Trend, trend
from wellposed.runs import Threshold, Verdict

LEVEL = 0.99
_TINY = 1e-300  # in place of sizes of 0, where a chain has hardly any others

MUCH = Threshold(10, "above", "convention", "a factor of 10 between the ends of a chain")
VERY_MUCH = Threshold(
    1e3, "above", "convention", "normalized layers adapt to their gradients; 1,000 is much even so"
)
TOO_MUCH = Threshold(
    1e3,
    "above",
    "arithmetic",
    "float32 drops updates below 6e-8 of a weight: if one end of a chain moves by 6e-5 of its "
    "weights per step, the other, with gradients 1,000 times smaller, does not move at all",
)
LOST = Threshold(
    2.0**24, "above", "arithmetic", "float32 has 24 bits: where one end moves, the other is lost"
)


@final
@dataclass(frozen=True, slots=True)
class Drift:
    """How one quantity drifts along one chain.

    Args:
        chain: Which.
        sites: Numbers of those of its layers that have a size above 0.
        backward: Of gradients, or of activations.
        trend: Of its sizes.
        theory: Predictions between neighbors of the chain.
        verdict: On the total factor.
        threshold: That it was compared with.
        lost: Layers at the beginning of the chain where the gradient is exactly 0.
    """

    chain: Chain
    sites: tuple[int, ...]
    backward: bool
    trend: Trend
    theory: list[Theory | None]
    verdict: Verdict
    threshold: Threshold
    lost: int

    @property
    def total(self) -> float:
        """The factor over the whole chain, at least 1."""
        return math.inf if self.lost else self.trend.total

    @property
    def predictions(self) -> list[Theory | None]:
        """Predictions between neighbors of `sites`; none where some layers have no size."""
        whole = len(self.sites) == len(self.chain.sites)
        return self.theory if whole else [None] * (len(self.sites) - 1)

    @property
    def interval(self) -> tuple[float, float]:
        """Of the total."""
        return (math.inf, math.inf) if self.lost else self.trend.interval


def drifts_of(found: Propagation, subject: Subject) -> list[Drift]:
    """Trends of gradients and of activations along all chains."""
    tests = 2 * len(found.chains)
    generator = np.random.default_rng(subject.seed)
    drifts = []
    for chain in found.chains:
        theory = theories(found.trace, chain)
        for backward in (True, False):
            powers = (found.backward if backward else found.forward)[list(chain.sites)]
            alive = powers.sum(1) > 0
            kept = [n for n, lives in zip(chain.sites, alive, strict=True) if lives]
            lost = 0
            if backward:
                lost = int(alive.argmax()) if alive.any() else len(alive)
            if len(kept) < 2:
                kept, alive = list(chain.sites), np.full(len(alive), fill_value=True)
            widths = [width(found.site(n)) for n in kept]
            rows = np.maximum(powers[alive], _TINY if len(kept) == len(chain.sites) else 0)
            along = trend(rows, widths, generator, level=LEVEL, tests=tests)
            verdict, threshold = _judge(chain, along, lost, backward=backward)
            drifts.append(
                Drift(chain, tuple(kept), backward, along, theory, verdict, threshold, lost)
            )
    return drifts


def _judge(chain: Chain, along: Trend, lost: int, *, backward: bool) -> tuple[Verdict, Threshold]:
    if lost:
        return Verdict.FAIL, LOST
    interval = along.interval
    chance = allowed(chain, along)
    if interval[1] <= chance.value:
        return Verdict.PASS, chance
    hard = LOST if chain.normalized else TOO_MUCH
    if backward and not chain.shared and interval[0] > max(hard.value, chance.value):
        return Verdict.FAIL, hard
    return chance.judge(interval, Verdict.WARN), chance


def allowed(chain: Chain, along: Trend) -> Threshold:
    """What is no finding yet: tenfold, or what chance may do in layers this narrow."""
    if chain.normalized:
        return VERY_MUCH
    if along.band <= MUCH.value:
        return MUCH
    return Threshold(
        along.band,
        "above",
        "null distribution",
        f"independent critical weights of these widths give more in {1 - LEVEL:.0%} of networks",
    )
