"""What every layer of a network was given and gave back, and the gradients there."""

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

Powers: TypeAlias = np.ndarray
Activation: TypeAlias = Callable[[Tensor], Tensor]

_NORMS = (
    _BatchNorm, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.LocalResponseNorm,
    nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d,
)  # fmt: skip
_FUNCTIONAL: dict[str, Activation] = {
    "identity": lambda x: x, "relu": torch.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid,
    "gelu": functional.gelu, "gelu (tanh)": partial(functional.gelu, approximate="tanh"),
    "silu": functional.silu, "elu": functional.elu, "leaky_relu": functional.leaky_relu,
    "softplus": functional.softplus, "hardswish": functional.hardswish,
    "relu6": functional.relu6, "selu": functional.selu, "mish": functional.mish,
}  # fmt: skip


@final
@dataclass(eq=False, slots=True)
class Site:
    """One call of one module.

    Args:
        name: Its path in the network, with the number of the call where there are several.
        module: Who was called.
        kind: "Linear", "Conv", "norm", "activation", the class of another module with a weight
            matrix, or "" for modules without.
        given: Its first input: for a module with weights a tensor of its own, so that the
            gradient there is what this call alone sends down.
        gives: Its first output that has a gradient.
        passed_on: What the network saw of it.
    """

    name: str
    module: nn.Module
    kind: str
    given: Tensor | None
    gives: Tensor
    passed_on: Tensor
    version: int
    linked: int  # where the memory lies that it was given

    @property
    def matrix(self) -> Tensor | None:
        """Its weights as (outputs, ...), if it is a linear or convolution layer."""
        weight = getattr(self.module, "weight", None)
        return weight.detach() if self.kind in {"Linear", "Conv"} and weight is not None else None

    @property
    def passes(self) -> bool:
        """Whether it hands on the same numbers, in whatever shape."""
        x, y = self.given, self.gives
        return (
            x is not None and x.numel() == y.numel() and torch.equal(x.reshape(-1), y.reshape(-1))
        )

    @property
    def weighs(self) -> bool:
        """Whether it mixes its inputs with weights, and is no normalization."""
        return self.kind not in {"", "norm", "activation"}


@final
@dataclass(eq=False, slots=True)
class Trace:
    """All calls of one forward pass, in their order.

    Args:
        sites: The calls.
        outputs: Of the network.
        examples: How many.
    """

    sites: list[Site] = field(default_factory=list)
    outputs: Tensor = field(default_factory=lambda: torch.zeros(0))
    examples: int = 0

    def gradients(self, value: Tensor) -> tuple[list[Tensor | None], list[Tensor | None]]:
        """Derivatives of a value at what each site gives, and at what it was given."""
        gives = [site.gives for site in self.sites]
        given = [site.given for site in self.sites]
        inner = [t for t in given if t is not None and t.requires_grad]
        if not gives:
            return [], []
        found = torch.autograd.grad(value, [*gives, *inner], retain_graph=True, allow_unused=True)
        at = {id(t): g for t, g in zip(inner, found[len(gives) :], strict=True)}
        return list(found[: len(gives)]), [None if t is None else at.get(id(t)) for t in given]

    def powers(self, tensors: list[Tensor | None]) -> Powers:
        """Sums of squares per example, one row per tensor; zeros where there is none."""
        return np.stack(
            [np.zeros(self.examples) if t is None else power(t, self.examples) for t in tensors]
        )


def record(
    model: nn.Module, inputs: Tensor, change: Callable[[Tensor], Tensor] | None = None
) -> Trace:
    """Run the network once and keep what every leaf module was given and gave.

    Modules that the network does not call (functions, methods with weights of their own) are not
    seen. The hooks are gone afterwards.

    Args:
        model: In the mode in which it is to be seen.
        inputs: A batch.
        change: Applied to what the first site gives.
    """
    recorder = _Recorder(Trace(examples=len(inputs)), change)
    with ExitStack() as stack:
        for name, module in model.named_modules():
            own = any(True for _ in module.parameters(recurse=False))
            if own or not any(True for _ in module.children()):
                stack.callback(module.register_forward_pre_hook(recorder.ahead).remove)
                hook = partial(recorder.behind, name or type(model).__name__)
                stack.callback(module.register_forward_hook(hook).remove)
        recorder.trace.outputs = model(inputs)
    return recorder.trace


@final
@dataclass(eq=False, slots=True)
class _Recorder:
    """The hooks, and what they have seen so far."""

    trace: Trace
    change: Activation | None
    open: list[tuple[Tensor | None, int, int]] = field(default_factory=list)
    calls: dict[str, int] = field(default_factory=dict)

    def ahead(self, module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """Keep what a module is given; one with weights gets a copy of its own."""
        first = args[0] if args else None
        seen = len(self.trace.sites)
        if not isinstance(first, Tensor) or not first.is_floating_point():
            self.open.append((None, 0, seen))
            return None
        own = any(True for _ in module.parameters(recurse=False))
        mine = _tracked(first.clone()) if own else first.detach().clone()
        self.open.append((mine, first.data_ptr(), seen))
        return (mine, *args[1:]) if own else None

    def behind(self, name: str, module: nn.Module, _args: Any, output: Any) -> Tensor | None:
        """Keep what it gives; the network goes on with a copy, which it may overwrite."""
        given, place, seen = self.open.pop()
        tensor = _first(output)
        if tensor is None or len(self.trace.sites) > seen:  # a part of it has been seen already
            return None
        for site in self.trace.sites:
            if tensor.data_ptr() == place == site.passed_on.data_ptr():
                site.version = site.passed_on._version  # overwritten by this module itself
        tensor = _tracked(tensor)
        shown = tensor.clone()
        if self.change is not None and not self.trace.sites:
            shown = self.change(shown)
        count = self.calls[name] = self.calls.get(name, 0) + 1
        title = name if count == 1 else f"{name} (call {count})"
        site = Site(title, module, "", given, tensor, shown, shown._version, place)
        site.kind = _kind(site)
        self.trace.sites.append(site)
        return shown if isinstance(output, Tensor) else None


@contextmanager
def batch_statistics(model: nn.Module) -> Iterator[None]:
    """Batch normalization by the batch, as in training, with its averages left alone."""
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm)]
    norms = [m for m in norms if not isinstance(m, nn.SyncBatchNorm)]
    saved = [(m, m.training, m.track_running_stats) for m in norms]
    for m in norms:
        m.training, m.track_running_stats = True, False
    try:
        yield
    finally:
        for m, training, tracks in saved:
            m.training, m.track_running_stats = training, tracks


def between(trace: Trace, lower: int, upper: int) -> tuple[str, Activation | None]:
    """What stands between two sites: its name, and the function if it is elementwise.

    Modules are followed from output to input; where a function of torch stands instead, its
    values tell which.
    """
    below, above = trace.sites[lower], trace.sites[upper]
    place, found, name = above.linked, None, ""
    for site in reversed(trace.sites[lower + 1 : upper]):
        if not _handed_on(site, place, above):
            continue
        if site.kind == "activation":
            if found is not None:
                return f"{site.name} and {name}", None
            found, name = site.module.forward, type(site.module).__name__
        elif not site.passes:
            return site.name, None
        place = site.linked
    if _handed_on(below, place, above):
        return name or "nothing", found or (lambda x: x)
    if found is None and above.given is not None:
        return _recognized(below.gives.detach(), above.given.detach())
    return "functions that were not seen", None


def power(tensor: Tensor, examples: int) -> Powers:
    """Sums of squares per example, in float64 and without underflow of the squares.

    Where no axis counts the examples, each gets the same share.
    """
    t = tensor.detach()
    if t.dim() and len(t) == examples:
        rows = t.reshape(examples, -1)
    elif t.dim() > 1 and t.shape[1] == examples:
        rows = t.transpose(0, 1).reshape(examples, -1)
    elif t.dim() and len(t) % examples == 0:
        rows = t.reshape(examples, -1)
    else:
        rows = (t / math.sqrt(examples)).reshape(1, -1).expand(examples, -1)
    norms: Powers = torch.linalg.vector_norm(rows, dim=1, dtype=torch.float64).cpu().numpy()
    squares: Powers = norms * norms
    return squares


def _tracked(tensor: Tensor) -> Tensor:
    """The tensor, with a gradient: also where weights are frozen."""
    if tensor.requires_grad or not tensor.is_floating_point():
        return tensor
    return tensor.detach().requires_grad_()


def _first(output: Any) -> Tensor | None:
    """The first tensor of floats in what a module returned."""
    if isinstance(output, Tensor):
        return output if output.is_floating_point() and output.numel() else None
    if isinstance(output, list | tuple):
        return next((t for t in map(_first, output) if t is not None), None)
    return None


def _kind(site: Site) -> str:
    module = site.module
    if isinstance(module, nn.Linear):
        return "Linear"
    if isinstance(module, _ConvNd):
        return "Conv"
    if isinstance(module, _NORMS):
        return "norm"
    if is_activation(site):
        return "activation"
    heavy = any(p.dim() > 1 for p in module.parameters(recurse=False))
    return type(module).__name__ if heavy and not isinstance(module, nn.Embedding) else ""


def is_activation(site: Site) -> bool:
    """Whether a module acts on each entry on its own, and does something to it."""
    x, y = site.given, site.gives.detach()
    if x is None or x.shape != y.shape or (x.dim() == 1 and len(x) == 1):
        return False
    if any(True for _ in site.module.children()) or isinstance(site.module, nn.Dropout):
        return False
    if any(p.numel() > 1 for p in site.module.parameters()):
        return isinstance(site.module, nn.PReLU)
    x, y = x.detach().reshape(-1)[:64], y.reshape(-1)[:64]
    probe = torch.linspace(-3, 3, 64, dtype=x.dtype, device=x.device)
    try:
        with torch.no_grad():
            again, other = (site.module.forward(t.clone()) for t in (x, probe))
    except (RuntimeError, ValueError, IndexError, TypeError):
        return False
    if not isinstance(again, Tensor) or again.shape != x.shape or torch.equal(other, probe):
        return False
    return bool(torch.allclose(again, y, rtol=1e-4, atol=1e-6))


def _handed_on(site: Site, place: int, above: Site) -> bool:
    """Whether what lies there is all that the site gave, untouched since."""
    shown = site.passed_on
    whole = above.given is not None and above.given.numel() == shown.numel()
    return whole and shown.data_ptr() == place and shown._version == site.version


def _recognized(gives: Tensor, given: Tensor) -> tuple[str, Activation | None]:
    """Which function of torch leads from one tensor to the other, entry by entry."""
    unknown = "functions that were not seen"
    if gives.numel() != given.numel():
        return unknown, None
    x, y = gives.reshape(-1), given.reshape(-1)
    step = max(1, x.numel() // 4096)
    x, y = x[::step], y[::step]
    for name, phi in _FUNCTIONAL.items():
        if torch.allclose(phi(x), y, rtol=1e-5, atol=1e-7):
            return name, phi
    return unknown, None
