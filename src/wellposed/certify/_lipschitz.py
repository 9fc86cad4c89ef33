"""How much a network can stretch: a product over its layers, proven but far from sharp."""

import math
from dataclasses import dataclass
from typing import final

from torch import Tensor, nn

from wellposed.certify._activation import Activation
from wellposed.certify._graph import Graph
from wellposed.certify._max_pool import MaxPool
from wellposed.certify._norm_bound import norm_bound
from wellposed.certify._operation import Affine, Concatenation, Input, Operation, Sum
from wellposed.certify._product import Product
from wellposed.certify._trace import trace
from wellposed.errors import require

_ROOM = 1e-12  # for the roundings of products and sums of a few thousand layers


@final
@dataclass(frozen=True, slots=True)
class Lipschitz:
    r"""A constant with $\|z(x) - z(x')\|_2 \le L \|x - x'\|_2$ for all inputs.

    Args:
        constant: L, an upper bound.
        layers: Operator and module, and the factor, of each operation whose factor is not 1.
    """

    constant: float
    layers: tuple[tuple[str, float], ...]

    def radius(self, margin: Tensor) -> Tensor:
        r"""Distance in the Euclidean norm within which no input is classified otherwise.

        Two logits together move by at most $\sqrt 2 L \|\delta\|$. A diagnosis: of the network in
        exact arithmetic, and mostly far too small; for certificates take `certify`.

        Args:
            margin: Logit of the label less the largest other one; negative ones give 0.
        """
        if self.constant == 0:
            return margin.clamp(min=0) * math.inf
        return margin.clamp(min=0) / (math.sqrt(2) * self.constant) * (1 - _ROOM)


def lipschitz(model: nn.Module | Graph, shape: tuple[int, ...] = ()) -> Lipschitz:
    """An upper bound of the Lipschitz constant of a network in eval mode, in Euclidean norms.

    The product of the norms of the layers, each as the linear operator that it is, bounded from
    above; branches of a sum add up.

    Args:
        model: A network whose operations certificates know, or one that `trace` has read.
        shape: Of one input; of a traced network it is known.

    Cost: one export, and Gram iteration of each layer's matrix, or of its matrices under Fourier.

    Raises `ArgumentError` for an operation that has no bounds here.

    References:
        Szegedy et al., Intriguing properties of neural networks, 2014, arXiv:1312.6199 (the
        product); Tsuzuku, Sato and Sugiyama, Lipschitz-margin training, 2018, arXiv:1802.04034
        (the radius).
    """
    graph = model if isinstance(model, Graph) else trace(model, shape)
    constants: list[float] = []
    layers: list[tuple[str, float]] = []
    for name, operation in zip(graph.names, graph.operations, strict=True):
        before = [constants[source] for source in operation.inputs]
        require(
            not isinstance(operation, Product),
            f"{name} is a product of two values that depend on the input, which has no Lipschitz "
            "constant on all inputs",
        )
        factor = _factor(operation)
        if factor != 1:
            layers.append((name, factor))
        constants.append(factor * _together(operation, before) * (1 + _ROOM))
    return Lipschitz(constants[-1], tuple(layers))


def _factor(operation: Operation) -> float:
    """Of one operation, beside what several values that enter make of it."""
    if isinstance(operation, Activation):
        return operation.contraction
    if isinstance(operation, MaxPool):  # as many windows as see one place
        return math.sqrt(operation.overlap)
    if isinstance(operation, Affine) and not isinstance(operation, Sum):
        return norm_bound(operation)
    return 1.0


def _together(operation: Operation, before: list[float]) -> float:
    """The constant of what enters."""
    if isinstance(operation, Input):
        return 1.0
    if isinstance(operation, Sum):
        return sum(abs(f) * one for f, one in zip(operation.factors, before, strict=True))
    if isinstance(operation, Concatenation):
        return math.hypot(*before)
    return before[0]
