"""How much each layer can stretch a difference of inputs, and whether layers are a chain."""

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrize import is_parametrized

from wellposed.audit._trace import Call, tensors_in, traced
from wellposed.errors import ArgumentError
from wellposed.linalg import operator_norm, row_norms, spectral_norm

_SMALL = (
    nn.Identity, nn.Flatten, nn.Unflatten, nn.ReLU, nn.ReLU6, nn.Tanh, nn.Hardtanh, nn.Softplus,
    nn.Softsign, nn.LogSigmoid, nn.Softshrink, nn.Tanhshrink, nn.Dropout,
    nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.Softmax,
)  # fmt: skip
_FACTORS: dict[type, float] = {
    nn.Sigmoid: 0.25, nn.GELU: 1.1290, nn.SiLU: 1.0999, nn.Mish: 1.0885, nn.SELU: 1.7581,
    nn.Hardswish: 1.5, nn.Hardsigmoid: 1 / 6,
}  # fmt: skip
_AVERAGES = (
    nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d, nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d,
    nn.AdaptiveAvgPool3d,
)  # fmt: skip
_WEIGHTED = (
    nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)  # fmt: skip
_MAXIMA = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_BETWEEN: dict[str, Callable[[Tensor], Tensor]] = {
    "": lambda x: x,
    "ReLU": functional.relu,
    "tanh": torch.tanh,
    "max-pooling": lambda x: functional.max_pool2d(x, 2),
    "ReLU and max-pooling": lambda x: functional.max_pool2d(functional.relu(x), 2),
}
_DENSE = 1500
SLACK = 2e-3
"""Norms are found from below, within 5e-4."""


@final
@dataclass(frozen=True, slots=True)
class Link:
    """One call of a layer.

    Args:
        name: Of the module and its class.
        factor: It stretches no difference of inputs by more; None where that is not known.
        rows: Sum of the norms of the rows of its matrix, less the initial one; None without weights
            or where it is not known.
        kernel: The norm of its kernel as a matrix; None without weights.
        seen: The largest stretch of a difference of two examples.
    """

    name: str
    factor: float | None
    rows: float | None
    kernel: float | None
    seen: float


@final
@dataclass(frozen=True, slots=True)
class Stretch:
    """A network as a chain of layers.

    Args:
        links: Its calls of layers, in order.
        gaps: Where it is no chain: something between two layers that no module does.
    """

    links: tuple[Link, ...]
    gaps: tuple[str, ...]

    @property
    def unknown(self) -> tuple[str, ...]:
        """The layers whose factor is not known."""
        return tuple(link.name for link in self.links if link.factor is None)

    @property
    def bounds(self) -> bool:
        """Whether `product` bounds what the network does to a difference of inputs."""
        return bool(self.links) and not self.gaps and not self.unknown

    @property
    def product(self) -> float:
        """The product of the known factors."""
        return math.prod(link.factor for link in self.links if link.factor is not None)

    @property
    def complexity(self) -> float | None:
        r"""$R_A = \prod_i \rho_i s_i (\sum_i (b_i / s_i)^{2/3})^{3/2}$ of Bartlett et al."""
        weighted = [link for link in self.links if link.kernel is not None]
        terms = [
            (link.rows / link.factor) ** (2 / 3) if link.rows is not None and link.factor else None
            for link in weighted
        ]
        known = [term for term in terms if term is not None]
        if not known or len(known) < len(terms):
            return None
        return float(self.product * sum(known) ** 1.5)

    @property
    def broken(self) -> tuple[str, ...]:
        """Layers that stretched two examples by more than their factor: a factor is wrong there."""
        return tuple(
            link.name
            for link in self.links
            if link.factor is not None and link.seen > link.factor * (1 + SLACK) + 1e-6
        )


def stretch(
    model: nn.Module, inputs: Tensor, initial: Mapping[str, Tensor] | None = None, *, seed: int = 0
) -> Stretch:
    """Follow a few examples through a network in eval mode, and bound every layer on the way.

    Args:
        model: In eval mode.
        inputs: At least two examples.
        initial: Weights before training, by name; rows are those of the change since.
        seed: Of the iterations.

    Cost: a forward pass of the examples, and about 60 of each layer with weights.
    """
    with torch.no_grad(), traced(model, inputs=True) as calls:
        outputs = model(inputs)
    links, gaps = [], []
    last, came = "the inputs", inputs
    done: dict[tuple[nn.Module, torch.Size], tuple[float | None, float | None, float | None]] = {}
    for call in calls:
        if not _is_layer(call.module):
            continue
        given, gave = tensors_in((call.args, call.kwargs)), tensors_in(call.output)
        if not given or not gave:
            gaps.append(f"at {call.place}")
            continue
        if not any(_same(function(came), given[0]) for function in _tries(came)):
            gaps.append(f"between {last} and {call.place}")
        key = (call.module, given[0].shape)
        if key not in done:
            done[key] = _bounded(call, given[0], initial, seed)
        links.append(Link(call.place, *done[key], _seen(given[0], gave[0])))
        last, came = call.place, gave[0]
    if links and not _same(came, outputs):
        gaps.append(f"after {last}")
    return Stretch(tuple(links), tuple(gaps))


def _is_layer(module: nn.Module) -> bool:
    """Whether it computes something itself, as far as one can see from outside."""
    return not any(True for _ in module.children()) or bool(module._parameters)


def _tries(came: Tensor) -> list[Callable[[Tensor], Tensor]]:
    """Functions that may stand between two layers; none stretches."""
    pooled = came.dim() == 4 and min(came.shape[-2:]) >= 2
    return [f for name, f in _BETWEEN.items() if pooled or "pooling" not in name]


def _same(a: Tensor, b: Tensor) -> bool:
    return a.numel() == b.numel() and torch.equal(a.flatten(), b.flatten())


def _seen(given: Tensor, gave: Tensor) -> float:
    """The largest stretch of a difference of two neighbouring examples."""
    if len(given) != len(gave) or not given.is_floating_point():
        return 0.0
    before, after = (t.flatten(1).double().diff(dim=0).norm(dim=1) for t in (given, gave))
    ratio = torch.where(before > 0, after / before, 0.0)
    return float(ratio.max()) if len(ratio) else 0.0


def _bounded(
    call: Call, given: Tensor, initial: Mapping[str, Tensor] | None, seed: int
) -> tuple[float | None, float | None, float | None]:
    """The factor of a layer, the norms of its rows, and the norm of its kernel."""
    module, shape = call.module, given.shape[1:]
    if isinstance(module, _WEIGHTED):
        weight = module.weight.detach()
        start = (initial or {}).get(f"{call.name}.weight".removeprefix("."))
        rows = None
        if not is_parametrized(module):  # else its weight cannot be replaced by another
            with suppress(ArgumentError):
                rows = float(row_norms(module, shape, start).double().sum())
        flat = weight.flatten(1).double()
        kernel = float(torch.linalg.matrix_norm(flat, 2)) if min(flat.shape) < _DENSE else None
        norm = spectral_norm(module, shape, seed=seed).value
        return norm, rows, kernel if kernel is not None else norm
    factor = _normalized(module)
    if factor is None:
        factor = _factor(module, given[:1], seed)
    return factor, None, None


def _factor(module: nn.Module, like: Tensor, seed: int) -> float | None:
    """The factor of a layer without a matrix of its own; None where it is not known."""
    kind = type(module)
    if kind in _SMALL:
        return 1.0
    if kind in _FACTORS:
        return _FACTORS[kind]
    if isinstance(module, _MAXIMA) and not module.return_indices:
        return float(_overlap(module, like.dim() - 2) ** 0.5)
    if isinstance(module, _AVERAGES):
        return float(operator_norm(module, torch.zeros_like(like), seed=seed).value)
    slope = _slope(module)
    return None if slope is None else max(1.0, slope)


def _slope(module: nn.Module) -> float | None:
    """The steepest slope of an elementwise layer, apart from 1, where it has numbers of its own."""
    if isinstance(module, nn.LeakyReLU):
        return abs(float(module.negative_slope))
    if isinstance(module, nn.ELU):
        return float(module.alpha)
    if isinstance(module, nn.PReLU):
        return float(module.weight.detach().abs().max())
    return None


def _normalized(module: nn.Module) -> float | None:
    """The factor of batch norm with its running statistics."""
    if not isinstance(module, _NORMS) or module.running_var is None:
        return None
    scale = (module.running_var + module.eps).rsqrt()
    if module.affine:
        scale = scale * module.weight.detach().abs()
    return float(scale.max())


def _overlap(module: nn.Module, dimensions: int) -> int:
    """In how many windows of a pooling layer one input can be."""

    def each(value: int | tuple[int, ...]) -> tuple[int, ...]:
        return (value,) * dimensions if isinstance(value, int) else tuple(value)

    kernel, stride, dilation = (
        each(getattr(module, name)) for name in ("kernel_size", "stride", "dilation")
    )
    if max(dilation) > 1:
        return math.prod(kernel)
    return math.prod(math.ceil(k / s) for k, s in zip(kernel, stride, strict=True))
