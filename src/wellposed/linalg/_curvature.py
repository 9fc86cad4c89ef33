"""Second derivatives as products with a vector."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from wellposed.errors import require
from wellposed.linalg._flatten import flatten, unflatten
from wellposed.linalg._jacobian import jacobian

Operator: TypeAlias = Callable[[Tensor], Tensor]
"""v -> Av, both of shape (n,)."""


def hessian(loss: Tensor, params: Sequence[Tensor]) -> tuple[Tensor, Operator]:
    r"""The gradient, shape (n,), and $v \mapsto \nabla^2 E\,v$.

    The graph of the gradient is made once and used by every product; it is kept for as long as
    the operator is.

    Args:
        loss: E, shape (), with its graph.
        params: Leaves of that graph, at least one; what E does not depend on gets zeros.

    Cost: one gradient evaluation, and one backward pass through it per product, at most two
    gradient evaluations.

    Raises `ArgumentError` if the loss depends on none of the parameters.
    """
    grads = torch.autograd.grad(loss, params, create_graph=True, allow_unused=True)
    require(
        any(g is not None for g in grads),
        f"the loss depends on none of the {len(params)} weight tensors; it has to be computed by "
        "the model whose weights these are",
    )
    gradient = flatten([g if g is None else g.detach() for g in grads], params)

    def product(vector: Tensor) -> Tensor:
        pieces = unflatten(vector, params)
        pairs = [
            (g, v) for g, v in zip(grads, pieces, strict=True) if g is not None and g.requires_grad
        ]
        if not pairs:
            return torch.zeros_like(vector)
        found = torch.autograd.grad(
            [g for g, _ in pairs],
            params,
            [v for _, v in pairs],
            retain_graph=True,
            allow_unused=True,
        )
        return flatten(found, params)

    return gradient, product


def gauss_newton(
    loss: Tensor, outputs: Tensor, params: Sequence[Tensor]
) -> tuple[Tensor, Operator]:
    r"""The gradient, shape (n,), and $v \mapsto J^\top H J v$, H the loss's Hessian in the outputs.

    Positive semidefinite wherever the loss is convex in the outputs, and the Hessian itself where
    the outputs are linear in the weights. What the loss holds beside the outputs (a penalty on the
    weights) is in the gradient, not in the product.

    Args:
        loss: E, shape (), computed from these very `outputs`, with its graph.
        outputs: f, of any shape, with its graph.
        params: Leaves of that graph, at least one.

    Cost: two gradient evaluations; per product one J v, one J'u and a product with H, which is
    cheap: together less than two gradient evaluations.

    Raises `ArgumentError` if the loss does not depend on the outputs, or only linearly, or the
    outputs depend on none of the parameters.
    """
    with torch.enable_grad():
        (slope,) = torch.autograd.grad(
            loss, outputs, create_graph=True, retain_graph=True, allow_unused=True
        )
    require(
        slope is not None,
        "the loss does not depend on the outputs beside it; compute both from one evaluation: "
        "outputs = model(x); return criterion(outputs, y), outputs",
    )
    require(
        slope.requires_grad,
        "the loss is linear in the outputs, so J'HJ is zero; try a convex one such as the squared "
        "error or the cross-entropy",
    )
    found = torch.autograd.grad(loss, params, retain_graph=True, allow_unused=True)
    gradient = flatten(found, params)
    inner = jacobian(outputs, params)

    def product(vector: Tensor) -> Tensor:
        (curved,) = torch.autograd.grad(slope, outputs, inner.forward(vector), retain_graph=True)
        return inner.adjoint(curved)

    return gradient, product
