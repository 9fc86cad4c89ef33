"""How negative the curvature of the objective is, where the relaxations want to know it."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from wellposed.linalg import hessian, least_eigenvalue
from wellposed.problem import Problem, eval_mode


def least_curvature(problem: Problem, model: nn.Module, inputs: Tensor, targets: Tensor) -> float:
    r"""The least eigenvalue $\lambda_{\min}$ of the objective's Hessian, to about 5 %, from above.

    A relaxation for the time t is well posed while $t < 1 / |\lambda_{\min}|$. Dropout and batch
    norm are in evaluation mode; modes, gradients and generators are as before afterwards.

    Args:
        problem: Whose loss and penalty count.
        model: With the weights at which to look.
        inputs: Examples, shape (n, ...).
        targets: Their targets, shape (n, ...).

    Cost: 30 to 100 products with the Hessian, each at most two gradients of these examples.
    """
    params = [p for p in model.parameters() if p.requires_grad]
    if not params:
        return 0.0
    with eval_mode(model), torch.enable_grad():
        objective = replace(problem, model=model).objective(inputs, targets)
        gradient, product = hessian(objective, params)
        return least_eigenvalue(product, gradient).value
