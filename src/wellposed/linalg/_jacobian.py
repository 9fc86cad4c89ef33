"""The Jacobian of a network's outputs, as two products."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from wellposed.errors import require
from wellposed.linalg._flatten import flatten, unflatten


@final
@dataclass(frozen=True, slots=True)
class Jacobian:
    r"""$J = \partial f / \partial w$ at the weights where `outputs` were computed.

    `forward` is linear in its vector, so it is the derivative of $u \mapsto J^\top u$ and needs
    nothing but the graph of the outputs: no second evaluation of the network, and no rule of
    forward differentiation. The graph is kept for as long as this object.

    Args:
        outputs: f, of any shape, with its graph.
        params: w.
        probe: u, zeros of the outputs' shape, in whose graph `pulled` is.
        pulled: $J^\top u$, one tensor per parameter; None where f does not depend on it.
    """

    outputs: Tensor
    params: tuple[Tensor, ...]
    probe: Tensor
    pulled: tuple[Tensor | None, ...]

    def forward(self, vector: Tensor) -> Tensor:
        r"""$Jv$ of the outputs' shape for v of shape (n,): one backward pass of a backward pass."""
        pieces = unflatten(vector, self.params)
        pairs = [(g, v) for g, v in zip(self.pulled, pieces, strict=True) if g is not None]
        (found,) = torch.autograd.grad(
            [g for g, _ in pairs], self.probe, [v for _, v in pairs], retain_graph=True
        )
        return found

    def adjoint(self, outer: Tensor) -> Tensor:
        r"""$J^\top u$, shape (n,), for u of the outputs' shape: one backward pass."""
        found = torch.autograd.grad(
            self.outputs, self.params, outer, retain_graph=True, allow_unused=True
        )
        return flatten(found, self.params)


def jacobian(outputs: Tensor, params: Sequence[Tensor]) -> Jacobian:
    """Both products with the Jacobian of `outputs` with respect to `params`.

    Args:
        outputs: Of any shape, with its graph, of operations that can be differentiated twice.
        params: Leaves of that graph, at least one.

    Cost: one backward pass, kept with its graph.

    Raises `ArgumentError` if the outputs depend on none of the parameters.
    """
    with torch.enable_grad():
        probe = torch.zeros_like(outputs, requires_grad=True)
        pulled = torch.autograd.grad(
            outputs, params, probe, create_graph=True, retain_graph=True, allow_unused=True
        )
    require(
        any(g is not None for g in pulled),
        f"the outputs depend on none of the {len(params)} weight tensors; they have to be computed "
        "by the model whose weights these are",
    )
    return Jacobian(outputs, tuple(params), probe, tuple(pulled))
