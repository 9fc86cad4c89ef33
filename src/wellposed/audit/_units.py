"""Which units of which layers let nothing pass, counted over many inputs."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from wellposed.audit._chain import as_in_training
from wellposed.audit._mean_field import derivative
from wellposed.audit._sites import Activation, Site, Trace, between, record
from wellposed.audit._subject import Subject
from wellposed.problem import eval_mode

_SMALL = 0.01  # of the greatest derivative


@final
@dataclass(eq=False, slots=True)
class Units:
    """The units of one activation.

    Args:
        name: Of its module; of the function and the layer before it where there is no module.
        function: What it is: "ReLU", "tanh", or "zeros handed on" where only that was seen.
        layer: The layer whose units these are, if it is known.
        rectifies: Whether its derivative is exactly 0 on a half line.
        silent: Per unit, whether it passed nothing on any input so far.
        still: Per unit, whether the derivative was exactly 0 on all inputs so far.
        blocked: Share of its entries that pass nothing, per input.
    """

    name: str
    function: str
    layer: nn.Module | None
    rectifies: bool
    silent: Tensor
    still: Tensor
    blocked: list[Tensor] = field(default_factory=list)

    @property
    def dead(self) -> int:
        """How many units passed nothing on any input."""
        return int(self.silent.sum())

    def mean_blocked(self, z: float) -> tuple[float, float, float]:
        """Mean share of entries that pass nothing, and its ends at z standard errors."""
        shares = torch.cat(self.blocked).double().numpy()
        mean = float(shares.mean())
        error = float(shares.std(ddof=1) / np.sqrt(len(shares))) if len(shares) > 1 else 0.0
        return mean, max(0.0, mean - z * error), min(1.0, mean + z * error)


def count_units(subject: Subject, part: str, inputs: int) -> tuple[dict[str, Units], int]:
    """The units of all activations, over at most so many inputs, and how many there were.

    A unit passes nothing on an input if the derivative there is below 1 % of its greatest
    anywhere, at every position: 0 for ReLU, and flat for tanh.

    Cost: two forward passes per input.
    """
    found: dict[str, Units] = {}
    seen = 0
    for batch, _ in _batches(subject, part, inputs):
        with torch.no_grad(), mode(subject.model):
            trace = record(subject.model, batch)
        for units in activations(trace):
            known = found.setdefault(units.name, units)
            if known is not units and known.silent.shape == units.silent.shape:
                known.silent &= units.silent
                known.blocked += units.blocked
        seen += len(batch)
    return found, seen


def mode(model: nn.Module) -> AbstractContextManager[None]:
    """Eval mode; but batch normalization that has never seen data works by the batch."""
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm)]
    fresh = [m for m in norms if m.num_batches_tracked is not None]
    untrained = bool(fresh) and not any(int(m.num_batches_tracked or 0) for m in fresh)
    return as_in_training(model) if untrained else eval_mode(model)


def _batches(subject: Subject, part: str, inputs: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of more than one example, unless there is no more than one."""
    for batch in subject.batches(part, inputs):
        if len(batch[0]) > 1 or len(subject.parts[part]) == 1:
            yield batch


def activations(trace: Trace) -> Iterator[Units]:
    """The activations of one forward pass: modules, functions known by their values, and zeros."""
    axis = 1
    for number, site in enumerate(trace.sites):
        if site.weighs or site.kind == "norm":
            yield from _functional(trace, number)
            axis = 1 if site.kind == "Conv" else -1 if site.kind == "Linear" else axis
        if site.kind == "activation" and site.given is not None:
            name, layer = type(site.module).__name__, _layer(trace, number - 1)
            yield _counted(site.name, name, layer, site.module.forward, site.given, axis)


def _functional(trace: Trace, number: int) -> Iterator[Units]:
    """A function of torch before a layer, if its values give it away."""
    below = number - 1
    while below >= 0 and trace.sites[below].kind == "" and trace.sites[below].passes:
        below -= 1
    if below < 0 or trace.sites[below].kind == "activation":
        return
    before, site = trace.sites[below], trace.sites[number]
    name, phi = between(trace, below, number)
    x = before.gives.detach()
    axis = 1 if x.dim() > 3 or before.kind == "Conv" else -1
    if phi is not None and name not in {"nothing", "identity"}:
        yield _counted(f"{name} after {before.name}", name, _layer(trace, below), phi, x, axis)
    elif phi is None and any(s.weighs for s in trace.sites[:number]):
        units = _zeros(site, before, axis)
        if units is not None:
            yield units


def _layer(trace: Trace, number: int) -> nn.Module | None:
    """The layer whose units these are: directly before, or with batch normalization between."""
    if number < 0:
        return None
    site = trace.sites[number]
    if isinstance(site.module, _BatchNorm) and number:
        site = trace.sites[number - 1]
    return site.module if site.matrix is not None else None


def _zeros(site: Site, before: Site, axis: int) -> Units | None:
    """Channels of which a layer is given zeros only, after a rectifier that was not seen."""
    given = None if site.given is None else site.given.detach()
    if given is None or float(given.min()) != 0 or float(given.max()) == 0:
        return None
    zero = given == 0
    channels, where = before.gives.shape[axis], 1 if site.kind == "Conv" else -1
    if given.dim() == 2 and before.gives.dim() > 2 and given.shape[1] % channels == 0:
        zero, where = zero.reshape(len(zero), channels, -1), 1
    silent = _always(zero, where)
    return Units(
        f"zeros to {site.name}", "zeros handed on", None, True, silent, silent, [_share(zero)]
    )


def _counted(
    name: str, function: str, layer: nn.Module | None, phi: Activation, x: Tensor, axis: int
) -> Units:
    greatest, rectifies = _shape_of(phi)
    if function in {"ReLU", "relu"}:
        off = zero = x <= 0  # as its derivative says, in a tenth of the time
    else:
        slopes = derivative(phi, x).abs()
        off, zero = slopes < _SMALL * greatest, slopes == 0
    silent, still = _always(off, axis), _always(zero, axis)
    return Units(name, function, layer, rectifies, silent, still, [_share(off)])


def _share(off: Tensor) -> Tensor:
    """Per input, the share of entries that are so."""
    rows = off.reshape(len(off), -1)
    return rows.sum(1).double().cpu() / rows.shape[1]


def _always(off: Tensor, axis: int) -> Tensor:
    """Per unit, along that axis, whether all entries are so."""
    axis %= off.dim()
    others = [k for k in range(off.dim()) if k != axis]
    return (off.all(dim=others) if others else off).cpu()


def _shape_of(phi: Activation) -> tuple[float, bool]:
    """The greatest derivative, and whether it is exactly 0 on a half line."""
    try:
        slopes = derivative(phi, torch.linspace(-8, 8, 1601))
    except (RuntimeError, TypeError, ValueError):
        return 1.0, False
    return float(slopes.abs().max()), bool((slopes[:400] == 0).all())
