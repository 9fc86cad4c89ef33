"""A module as a map from tensors to tensors, at the inputs it met in a forward pass."""

import warnings
from collections.abc import Iterable, Sequence
from typing import final

import torch
from torch import Tensor, nn

from wellposed.audit._trace import Call, swapped, tensors_in, traced
from wellposed.audit._twin import Twin


@final
class ModuleMap:
    """What a module does to its inputs and parameters that are floats, everything else held fixed.

    It is taken a little beside the inputs that the module met: there, entries that are exactly 0
    after a ReLU lie on the kinks of what follows.

    Args:
        call: The module and its arguments.
        generator: Of the displacement.
    """

    def __init__(self, call: Call, generator: torch.Generator) -> None:
        self.call = call
        met = tensors_in((call.args, call.kwargs))
        self._met = met
        self._floats = [i for i, t in enumerate(met) if t.is_floating_point() and t.numel()]
        named = dict(call.module.named_parameters())
        self._parameters = [n for n, p in named.items() if p.is_floating_point() and p.numel()]
        inputs = [met[i] for i in self._floats]
        own = [named[name].detach().clone() for name in self._parameters]
        self.names = [f"input {i}" for i in self._floats] + self._parameters
        self.values = [*inputs, *own]
        for displaced in _displaced(inputs, generator):
            values = [*displaced, *own]
            if all(bool(torch.isfinite(y).all()) for y in self(values)):
                self.values = values
                break

    def __call__(self, values: Sequence[Tensor]) -> list[Tensor]:
        """The outputs that are floats, for other inputs and parameters."""
        args = list(self._met)
        for place, value in zip(self._floats, values, strict=False):
            args[place] = value.clone()  # a module may write into its input
        own = dict(zip(self._parameters, values[len(self._floats) :], strict=True))
        positional, by_name = swapped((self.call.args, self.call.kwargs), args)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of non-contiguous weights of recurrent nets
            found = torch.func.functional_call(self.call.module, own, positional, by_name)
        return [y for y in tensors_in(found) if y.is_floating_point()]

    def leaves(self) -> list[Tensor]:
        """Its values, ready to be differentiated by."""
        return [value.detach().clone().requires_grad_() for value in self.values]


def module_calls(made: Twin) -> list[Call]:
    """The first call of each module of a twin, the inner before the outer; no mere containers."""
    with torch.no_grad(), traced(made.model, inputs=True) as calls:
        made.model(made.inputs)
    first: dict[nn.Module, Call] = {}
    for call in calls:
        if not isinstance(call.module, nn.Sequential):
            first.setdefault(call.module, call)
    return list(first.values())


def innermost(names: Iterable[str]) -> list[str]:
    """Those names of modules inside which none of the others lies."""
    every = list(names)
    return [
        name
        for name in every
        if not any(o != name and (o.startswith(f"{name}.") or not name) for o in every)
    ]


def _displaced(inputs: list[Tensor], generator: torch.Generator) -> Iterable[list[Tensor]]:
    """Inputs a tenth of their size away; and, for those that must be positive, by factors."""
    drawn = [torch.randn(t.shape, generator=generator, dtype=torch.float64).to(t) for t in inputs]
    yield [t + 0.1 * t.square().mean().sqrt() * d for t, d in zip(inputs, drawn, strict=True)]
    yield [t * (0.1 * d).exp() for t, d in zip(inputs, drawn, strict=True)]
