"""The best output layer for the cross-entropy: Newton's method, which is convex there."""

import torch
from torch import Tensor
from torch.nn import functional

from wellposed.errors import require
from wellposed.optim._armijo import armijo
from wellposed.optim._output_fit import OutputFit

_ROWS = 4096  # examples at a time, when the matrix is summed up


def softmax_regression(
    design: Tensor,
    labels: Tensor,
    tikhonov: float,
    start: Tensor,
    *,
    tolerance: float,
    max_steps: int = 100,
) -> OutputFit:
    r"""Minimize $\tfrac1N \sum_i \ell(\Phi_i W, y_i) + \tfrac\lambda2 \|W\|^2$ by Newton's method.

    With p the softmax of the outputs, the matrix of the output Hessian is
    $\tfrac1N (\operatorname{diag}(p) - p p^\top)$ per example. It is factorized by Cholesky, so
    that the number of unknowns, features times outputs, is what costs.

    Args:
        design: $\Phi$, shape (N, features), float64.
        labels: Class numbers, shape (N,).
        tikhonov: $\lambda > 0$; without it separable data have no best layer.
        start: First W, shape (features, outputs), float64.
        tolerance: Norm of the gradient in W at which to stop, above 0.
        max_steps: Limit of Newton steps.

    Raises `ArgumentError` if the tolerance is not reached.
    """
    weights, solves = start, 0
    while True:
        slope, loss = _slope(design @ weights, labels)
        gradient = design.T @ slope + tikhonov * weights
        objective = loss + tikhonov * weights.square().sum() / 2
        norm = float(gradient.norm())
        factor = _factor(design, (design @ weights).softmax(1), tikhonov)
        if norm <= tolerance:
            break
        step = -_solve(factor, gradient)
        solves += 1
        moved = _moved(design, labels, tikhonov, weights, step, objective, gradient)
        require(
            moved is not None and solves <= max_steps,
            f"the output layer could not be solved to tolerance={tolerance:g} (gradient {norm:.3g} "
            f"after {solves} Newton steps); try a larger tolerance or a larger tikhonov",
        )
        weights = weights if moved is None else moved
    p = (design @ weights).softmax(1)
    return OutputFit(
        coefficients=weights,
        loss=objective,
        residual=norm,
        solves=solves,
        slope=slope,
        curve=lambda u: (p * u - p * (p * u).sum(1, keepdim=True)) / len(design),
        inverse=lambda b: _solve(factor, b),
    )


def _slope(outputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Gradient of the mean cross-entropy in the outputs, and its value."""
    hot = functional.one_hot(labels, outputs.shape[1])
    return (outputs.softmax(1) - hot) / len(outputs), functional.cross_entropy(outputs, labels)


def _moved(
    design: Tensor,
    labels: Tensor,
    tikhonov: float,
    weights: Tensor,
    step: Tensor,
    objective: Tensor,
    gradient: Tensor,
) -> Tensor | None:
    """The weights after the step, halved as need be; None if no step helps.

    Newton's full step is taken without a search once its decrease is below the last digits.
    """
    slope = float((gradient * step).sum())
    if abs(slope) <= 1e3 * torch.finfo(objective.dtype).eps * float(objective):
        return weights + step

    def objective_at(alpha: float) -> float:
        there = weights + alpha * step
        loss = functional.cross_entropy(design @ there, labels)
        return float(loss + tikhonov * there.square().sum() / 2)

    found = armijo(objective_at, float(objective), slope, 1.0)
    there: Tensor = weights + found.alpha * step
    return there if found.alpha > 0 else None


def _factor(design: Tensor, p: Tensor, tikhonov: float) -> Tensor:
    """Cholesky factor of K, whose rows are W's entries row by row."""
    count, features = design.shape
    classes = p.shape[1]
    matrix = design.new_zeros(features, classes, features, classes)
    for a in range(classes):
        matrix[:, a, :, a] = design.T @ (p[:, a : a + 1] * design)
    matrix = matrix.reshape(features * classes, features * classes)
    for rows, shares in zip(design.split(_ROWS), p.split(_ROWS), strict=True):
        products = (rows.unsqueeze(2) * shares.unsqueeze(1)).reshape(len(rows), -1)
        matrix -= products.T @ products
    matrix /= count
    matrix.diagonal().add_(tikhonov)
    factor, failed = torch.linalg.cholesky_ex(matrix)
    require(
        int(failed) == 0,
        f"the output layer's matrix is not positive with tikhonov={tikhonov:g}; try 1e-6 or more",
    )
    found: Tensor = factor
    return found


def _solve(factor: Tensor, right: Tensor) -> Tensor:
    """K^-1 times what has the shape of W."""
    return torch.cholesky_solve(right.reshape(-1, 1), factor).reshape(right.shape)
