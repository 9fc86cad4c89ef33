r"""Four matrices of second order, each as $v \mapsto Av$ in forward and in backward mode."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias, get_args

import torch
from torch import Tensor
from torch.func import grad, jvp, vjp

from wellposed.errors import require
from wellposed.linalg._curvature import Operator, gauss_newton, hessian
from wellposed.linalg._jacobian import jacobian
from wellposed.linalg._mean_loss import MeanLoss
from wellposed.linalg._recorded import Directional

Kind: TypeAlias = Literal["hessian", "gauss-newton", "fisher", "empirical-fisher"]
"""Which matrix."""

Form: TypeAlias = tuple[Callable[[], Tensor], Callable[[Tensor], Tensor] | None]
"""A function of the weights, and the product with the matrix between its Jacobians."""

KINDS: tuple[Kind, ...] = get_args(Kind)


def directional(mean: MeanLoss, kind: Kind) -> Directional:
    """(vectors, weights, (inputs, targets, *constants)) -> Av, by forward over reverse mode.

    The derivative along v is taken of `grad`, never of a Jacobian by `jacrev`: the latter is wrong
    on layer norms.
    """

    def product(v: Sequence[Tensor], w: Sequence[Tensor], data: Sequence[Tensor]) -> Any:
        inputs, targets, *others = data
        weights, vectors = tuple(w), tuple(v)
        if kind == "hessian":
            objective = mean.functional(mean.objective, others)
            slope = grad(lambda p: objective(p, inputs, targets))
            return _along(slope, weights, vectors)[1]
        if kind == "empirical-fisher":
            losses = mean.functional(mean.losses, others)
            _, along = _along(lambda p: losses(p, inputs, targets), weights, vectors)
            return _pulled(lambda p: losses(p, inputs, targets), weights, along / len(inputs))
        outputs = mean.functional(mean.outputs, others)
        at, along = _along(lambda p: outputs(p, inputs), weights, vectors)
        curved = _outer(mean, kind, at, along, targets)
        return _pulled(lambda p: outputs(p, inputs), weights, curved)

    return product


def backward(mean: MeanLoss, kind: Kind, inputs: Tensor, targets: Tensor) -> Operator:
    """The product by two backward passes, with the graph kept for as long as the operator is."""
    params = mean.params
    if kind == "hessian":
        return hessian(mean.objective(inputs, targets), params)[1]
    if kind == "gauss-newton":
        outputs = mean.outputs(inputs)
        return gauss_newton(mean.loss(outputs, targets).mean(), outputs, params)[1]
    if kind == "empirical-fisher":
        slopes = jacobian(mean.losses(inputs, targets), params)
        return lambda v: slopes.adjoint(slopes.forward(v) / len(inputs))
    outputs = mean.outputs(inputs)
    inner, p = jacobian(outputs, params), _probabilities(outputs.detach())
    return lambda v: inner.adjoint(_softmax_fisher(p, inner.forward(v)) / len(inputs))


def form(mean: MeanLoss, kind: Kind, inputs: Tensor, targets: Tensor) -> Form:
    """What is differentiated once by the weights, and the product between: A = J'BJ.

    Of the Hessian it is the gradient, and nothing between.
    """
    if kind == "hessian":
        return lambda: _gradient(mean, inputs, targets), None
    if kind == "empirical-fisher":
        return lambda: mean.losses(inputs, targets), lambda u: u / len(inputs)
    at = mean.outputs(inputs).detach()
    return lambda: mean.outputs(inputs), lambda u: _outer(mean, kind, at, u, targets)


def _gradient(mean: MeanLoss, inputs: Tensor, targets: Tensor) -> Tensor:
    found = torch.autograd.grad(mean.objective(inputs, targets), mean.params, allow_unused=True)
    pairs = zip(found, mean.params, strict=True)
    return torch.cat([(torch.zeros_like(p) if g is None else g).reshape(-1) for g, p in pairs])


def _outer(mean: MeanLoss, kind: Kind, at: Tensor, along: Tensor, targets: Tensor) -> Tensor:
    """B u for the matrix between: the loss's Hessian in the outputs, or their Fisher matrix."""
    if kind == "fisher":
        return _softmax_fisher(_probabilities(at), along) / len(at)
    slope = grad(lambda outputs: mean.loss(outputs, targets).mean())
    found: Tensor = _along(slope, at, along)[1]
    return found


def _along(function: Callable[[Any], Any], point: Any, vector: Any) -> tuple[Any, Any]:
    """The function's value, and its derivative along a vector."""
    value, derivative = jvp(function, (point,), (vector,))[:2]
    return value, derivative


def _pulled(function: Callable[[Any], Tensor], point: Any, outer: Tensor) -> Any:
    """J'u of a function."""
    return vjp(function, point)[1](outer)[0]


def _softmax_fisher(p: Tensor, u: Tensor) -> Tensor:
    return p * u - p * (p * u).sum(1, keepdim=True)


def _probabilities(outputs: Tensor) -> Tensor:
    require(
        outputs.dim() == 2,
        f"the Fisher matrix is that of classes, outputs of shape (batch, classes), got "
        f"{tuple(outputs.shape)}; try kind='gauss-newton'",
    )
    return outputs.softmax(1)
