"""Chains of layers of one kind, and the sizes of signals and gradients along them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import final

import numpy as np
import torch
from torch import Tensor, nn

from wellposed.audit._sites import (
    Activation,
    Powers,
    Site,
    Trace,
    batch_statistics,
    between,
    record,
)
from wellposed.audit._subject import Subject
from wellposed.errors import ArgumentError, require
from wellposed.problem import eval_mode

_ROOM = 60_000_000  # numbers of all layers together: a gigabyte, with copies and gradients
_LONG = 3  # layers that make a trend


@final
@dataclass(frozen=True, slots=True)
class Chain:
    """Layers of one kind, in the order in which they are called.

    Args:
        kind: "Linear", "Conv", the class of another module, or "weight" for all kinds together.
        sites: Their numbers in the trace.
        between: What stands before each but the first: its name, and the function if known.
        normalized: Whether most of them are followed by a normalization.
        shared: Whether it is the same few modules again and again, as in a recurrent network.
    """

    kind: str
    sites: tuple[int, ...]
    between: tuple[tuple[str, Activation | None], ...]
    normalized: bool
    shared: bool


@final
@dataclass(frozen=True, slots=True)
class Propagation:
    """What one forward and up to two backward passes showed.

    Args:
        trace: All calls.
        chains: Those that are long enough for a trend.
        forward: Mean squares of what each site gives, (sites, examples).
        backward: Squared norms of the gradient there, for a random cotangent of the outputs.
        loss: The same for the loss of the examples; None if not asked for.
        given: Gradients for the random cotangent at what each site was given.
        gives: And at what it gives.
    """

    trace: Trace
    chains: tuple[Chain, ...]
    forward: Powers
    backward: Powers
    loss: Powers | None
    given: list[Tensor | None]
    gives: list[Tensor | None]

    def site(self, number: int) -> Site:
        """A site by its number."""
        return self.trace.sites[number]


def propagate(
    subject: Subject, model: nn.Module, part: str, examples: int, *, loss: bool = True
) -> Propagation:
    """Measure a model, the subject's or a copy of it, on examples of the subject.

    Args:
        subject: Whose data and loss are taken.
        model: Which network.
        part: Of the data.
        examples: At most so many; fewer where a network's layers would not fit into memory.
        loss: Whether the gradient of the loss is wanted as well.

    Cost: one forward and one backward pass, and another backward pass for the loss.
    """
    with as_in_training(model):
        inputs, targets = subject.take(part, examples)
        fits = room(model, inputs)
        inputs, targets = inputs[:fits], targets[:fits]
        trace = record(model, inputs)
        outputs = trace.outputs
        require(
            outputs.requires_grad,
            "no gradient flows through the network: its outputs do not depend on any tensor of "
            "floats that a module gives; look for detach() or no_grad() inside",
        )
        cotangent = torch.randn(outputs.shape, generator=subject.generator("signal"))
        product = (outputs * cotangent.to(outputs)).sum()
        gives, given = trace.gradients(product)
        ours = trace.gradients(subject.losses(outputs, targets).sum())[0] if loss else None
    counts = [max(1.0, s.gives.numel() / len(inputs)) for s in trace.sites]
    return Propagation(
        trace=trace,
        chains=chains_of(trace, gives),
        forward=trace.powers([s.gives for s in trace.sites]) / np.array(counts)[:, None],
        backward=trace.powers(gives),
        loss=None if ours is None else trace.powers(ours),
        given=given,
        gives=gives,
    )


def room(model: nn.Module, inputs: Tensor) -> int:
    """For how many examples the layers fit into memory, at least 8."""
    with torch.no_grad():
        few = record(model, inputs[:2])
    size = sum(s.gives.numel() for s in few.sites) / len(inputs[:2])
    return max(8, int(_ROOM / max(1.0, size)))


@contextmanager
def as_in_training(model: nn.Module) -> Iterator[None]:
    """Gradients on, no dropout, batch normalization by the batch."""
    with torch.enable_grad(), eval_mode(model), batch_statistics(model):
        yield


def chains_of(trace: Trace, gives: list[Tensor | None]) -> tuple[Chain, ...]:
    """Layers by kind, those kinds with at least three; else all layers with weights together.

    Layers of the same kind are comparable also where others stand between them, and one in three
    may be odd, as in the branches of a residual network.

    Raises:
        ArgumentError: If there is no depth at all.
    """
    kinds: dict[str, list[int]] = {}
    for number, site in enumerate(trace.sites):
        if site.weighs and gives[number] is not None:
            kinds.setdefault(site.kind, []).append(number)
    known = {kind: sites for kind, sites in kinds.items() if len(sites) >= _LONG}
    everything = sorted(n for sites in kinds.values() for n in sites)
    if len(everything) < 2:
        names = ", ".join(trace.sites[n].name for n in everything) or "none"
        raise ArgumentError(
            f"signal compares layers, and hooks see {len(everything)} with weights that a gradient "
            f"passes ({names}); a network of one layer has no depth, and one written with "
            "functions needs modules to be seen"
        )
    known = known or {"weight": everything}
    return tuple(
        Chain(
            kind=kind,
            sites=tuple(sites),
            between=tuple(between(trace, a, b) for a, b in pairwise(sites)),
            normalized=_normalized(trace, sites),
            shared=2 * len({id(trace.sites[n].module) for n in sites}) <= len(sites),
        )
        for kind, sites in known.items()
    )


def _normalized(trace: Trace, sites: list[int]) -> bool:
    """Whether a normalization comes directly after at least half of the layers."""
    after = [trace.sites[n + 1] for n in sites if n + 1 < len(trace.sites)]
    return 2 * sum(site.kind == "norm" for site in after) >= len(sites)


def width(site: Site) -> int:
    """Units of a layer, as independent draws of weights go: channels or features."""
    matrix = site.matrix
    return len(matrix) if matrix is not None else int(site.gives.shape[-1])
