"""How far apart inputs are behind every layer of a chain."""

import math
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor, nn

from wellposed.audit._cause import Theory, theories
from wellposed.audit._chain import Chain, as_in_training, chains_of, room, width
from wellposed.audit._drift import LEVEL, MUCH, allowed
from wellposed.audit._sites import Powers, Trace, power, record
from wellposed.audit._subject import Subject
from wellposed.audit._trend import Trend, trend
from wellposed.errors import require
from wellposed.runs import Threshold, Verdict

_NEAR = 1e-3  # relative size of the perturbation that makes near inputs
_ROUNDING = 16 * 2.0**-24  # a few rounding errors of float32
_TINY = 1e-30  # in place of distances of 0


@final
@dataclass(frozen=True, slots=True)
class Spread:
    """How far apart inputs are, along a chain.

    Args:
        chain: Which.
        sites: Numbers of those of its layers that are compared.
        near: Of an input and itself slightly perturbed; else of two inputs of the data.
        trend: Of root mean squares of relative distances.
        theory: Predictions between neighbors.
        verdict: On the factor.
        threshold: That it was compared with.
    """

    chain: Chain
    sites: tuple[int, ...]
    near: bool
    trend: Trend
    theory: list[Theory | None]
    verdict: Verdict
    threshold: Threshold

    @property
    def factor(self) -> float:
        """By which near inputs part, or distinct ones come closer; below 1 where it is no fault."""
        total = self.trend.total
        return total if self.adverse else 1 / total

    @property
    def interval(self) -> tuple[float, float]:
        """Of the factor."""
        low, high = self.trend.interval
        return (low, high) if self.adverse else (1 / high, 1 / low)

    @property
    def adverse(self) -> bool:
        """Whether near inputs part, or distinct ones come closer."""
        return bool((self.trend.sizes[-1] < self.trend.sizes[0]) != self.near)


def spreads_of(
    subject: Subject, model: nn.Module, part: str, examples: int
) -> tuple[Trace, list[Spread], int]:
    """Distances along all chains of a model, and of how many pairs."""
    inputs = subject.take(part, examples)[0]
    generator = subject.generator("collapse")
    with as_in_training(model), torch.no_grad():
        inputs = inputs[: room(model, inputs)]
        half = len(inputs) // 2
        left, right = inputs[:half], inputs[half : 2 * half]
        differ = (left != right).flatten(1).any(1)
        left, right = left[differ], right[differ]
        require(
            len(left) >= 2,
            f"collapse compares distinct inputs in pairs, and {len(inputs)} examples of {part} "
            f"have {len(left)} such pairs; give at least four that differ",
        )
        both = torch.cat([left, right])
        trace = record(model, both)
        near = record(model, both, lambda t: _perturbed(t, generator))
    gives: list[Tensor | None] = [site.gives for site in trace.sites]
    chains = chains_of(trace, gives)
    broken = [s.name for s in trace.sites if not bool(torch.isfinite(s.gives).all())]
    require(
        not broken,
        f"collapse compares activations, and those of {', '.join(broken[:1])} are not finite; see "
        "the check of signals",
    )
    same = [s.name for s in trace.sites] == [s.name for s in near.sites]
    pairs, tests = len(left), 2 * len(chains)
    numbers = np.random.default_rng(subject.seed)
    spreads = []
    for chain in chains:
        made = theories(trace, chain)
        found = {False: np.stack([_distinct(trace, n, pairs) for n in chain.sites])}
        if same:
            found[True] = np.stack([_shift(trace, near, n, 2 * pairs) for n in chain.sites])
        for is_near, distances in found.items():
            kept = _not_constant(distances)
            if len(kept) < 2:
                continue
            sites = tuple(chain.sites[k] for k in kept)
            unknown: list[Theory | None] = [None] * (len(kept) - 1)
            theory = made if len(kept) == len(chain.sites) else unknown
            widths = [width(trace.sites[n]) for n in sites]
            rows = np.maximum(distances[kept], _TINY)
            along = trend(rows, widths, numbers, level=LEVEL, tests=tests)
            verdict, threshold = _judge(chain, along, near=is_near)
            spreads.append(Spread(chain, sites, is_near, along, theory, verdict, threshold))
    return trace, spreads, pairs


def _not_constant(distances: Powers) -> list[int]:
    """Layers to be compared: not those where all inputs are one and yet differ further on.

    What the first state of a recurrent network goes through does not depend on the input.
    """
    apart = distances.sum(1) > 0
    last = int(np.flatnonzero(apart).max(initial=-1))
    return [k for k in range(len(apart)) if apart[k] or k > last]


def _judge(chain: Chain, along: Trend, *, near: bool) -> tuple[Verdict, Threshold]:
    """Distinct inputs may not merge, and near ones not scatter; the other way round is no fault."""
    if (along.sizes[-1] < along.sizes[0]) == near:
        return Verdict.PASS, MUCH
    limit = Threshold(
        float(along.sizes[0]) / _ROUNDING,
        "above",
        "arithmetic",
        "distances below 16 rounding errors of float32 are noise",
    )
    if not near and along.high[-1] < _ROUNDING and along.interval[0] > limit.value:
        return Verdict.FAIL, limit
    threshold = allowed(chain, along) if near or not chain.normalized else MUCH
    return threshold.judge(along.interval, Verdict.WARN), threshold


def _distinct(trace: Trace, number: int, pairs: int) -> Powers:
    """Squared relative distances of the pairs behind a site."""
    gives = trace.sites[number].gives.detach()
    if len(gives) != 2 * pairs:
        gives = gives.transpose(0, 1) if gives.dim() > 1 and gives.shape[1] == 2 * pairs else gives
    a, b = gives.reshape(2, pairs, -1)
    size = power(a, pairs) + power(b, pairs)
    found: Powers = power(a - b, pairs) / np.maximum(size, 1e-300)
    return found


def _shift(trace: Trace, near: Trace, number: int, examples: int) -> Powers:
    """Squared relative distances to the same input, perturbed; halved as those of pairs are."""
    a, b = (t.sites[number].passed_on.detach() for t in (trace, near))
    size = power(a, examples) + power(b, examples)
    found: Powers = power(a - b, examples) / np.maximum(size, 1e-300)
    return found


def _perturbed(t: Tensor, generator: torch.Generator) -> Tensor:
    noise = torch.randn(t.shape, generator=generator).to(t)
    return t + _NEAR * t.square().mean().sqrt() * noise


def predicted_distances(spread: Spread) -> tuple[float, ...]:
    """Root mean squares of distances by the correlation map, anew where nothing is known."""
    out = [float(spread.trend.sizes[0])]
    for k, theory in enumerate(spread.theory):
        here = out[-1] ** 2
        if theory is None or theory.q <= 0:
            out.append(float(spread.trend.sizes[k + 1]))
        elif here < 1e-3:
            out.append(math.sqrt(here * theory.merging))
        else:
            c = theory.field.correlation(max(-1.0, 1 - here), theory.q)
            out.append(math.sqrt(max(1e-300, 1 - c)))
    return tuple(out)
