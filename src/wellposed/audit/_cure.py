"""Remedies for the sizes of signals, each applied to a copy and measured there."""

import copy
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, TypeAlias, final

import torch
from torch import Tensor, nn

from wellposed.audit._subject import Subject
from wellposed.errors import ArgumentError
from wellposed.init import Glorot, He, Orthogonal
from wellposed.init._base import LAYERS, Initializer

Measure: TypeAlias = Callable[[nn.Module], float]

INITIALIZERS: tuple[tuple[str, Initializer], ...] = (
    ("wellposed.init.He()", He()),
    ("wellposed.init.Orthogonal()", Orthogonal()),
    ("wellposed.init.Orthogonal(gain=2**0.5)", Orthogonal(gain=2**0.5)),
    ("wellposed.init.Glorot()", Glorot()),
)
IN_RECIPES = {
    "wellposed.init.He()": 'init = "he"',
    "wellposed.init.Orthogonal()": 'init = "orthogonal"',
    "wellposed.init.Orthogonal(gain=2**0.5)": 'init = {name = "orthogonal", gain = 1.4142}',
    "wellposed.init.Glorot()": 'init = "glorot"',
}
"""The same initializers as a recipe names them."""

NORMALIZED = "normalization after each of these layers"


@final
@dataclass(frozen=True, slots=True)
class Cure:
    """The best remedy that was tried.

    Args:
        name: What was done to a copy; empty if nothing could be tried.
        value: What was measured afterwards.
        tried: All that were tried, with their values.
    """

    name: str
    value: float | None
    tried: dict[str, float]

    @property
    def words(self) -> str:
        """What was done, in Python and in a recipe."""
        return anew(self.name) if self.name in IN_RECIPES else self.name


def anew(name: str = "wellposed.init.He()") -> str:
    """An initializer as Python and as a recipe names it.

    Args:
        name: Of those in `INITIALIZERS`.
    """
    return f"{name}, in a recipe {IN_RECIPES[name]}"


def cure(subject: Subject, measure: Measure, *, enough: float) -> Cure:
    """Try initializers on copies, and normalization; take the first that is enough, or the best.

    Args:
        subject: Its model is copied, never changed.
        measure: What is to be made small, of a model.
        enough: A value below which no further remedy is tried.

    Cost: one measurement per remedy, at most five.
    """
    tried: dict[str, float] = {}
    for name, initializer in INITIALIZERS:
        try:
            twin = copy.deepcopy(subject.model)
            device = subject.device
            initializer(twin.cpu(), None, subject.generator(name))
            tried[name] = measure(twin.to(device))
        except (ArgumentError, RuntimeError, TypeError, ValueError):
            continue  # it has no such layers, or cannot be copied
        if tried[name] < enough:
            break
    else:
        tried |= _normalized(subject, measure)
    if not tried:
        return Cure("", None, {})
    best = min(tried, key=lambda name: tried[name])
    return Cure(best, tried[best], tried)


def _normalized(subject: Subject, measure: Measure) -> dict[str, float]:
    """The same with every layer's output shifted and scaled to mean 0 and variance 1."""
    try:
        twin = copy.deepcopy(subject.model)
        with ExitStack() as stack:
            for layer in [m for m in twin.modules() if isinstance(m, LAYERS)][:-1]:
                stack.callback(layer.register_forward_hook(_standardize).remove)
            return {NORMALIZED: measure(twin)}
    except (ArgumentError, RuntimeError, TypeError, ValueError):
        return {}


def _standardize(module: nn.Module, _args: Any, output: Tensor) -> Tensor:
    """By the batch, per feature of a linear layer and per channel of a convolution."""
    channel = output.dim() - 1 if isinstance(module, nn.Linear) else 1
    axes = [axis for axis in range(output.dim()) if axis != channel]
    variance, mean = torch.var_mean(output, axes, keepdim=True, correction=0)
    return (output - mean) * (variance + 1e-5).rsqrt()
