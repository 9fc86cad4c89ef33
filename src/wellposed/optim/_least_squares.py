"""The best output layer for the squared error: one QR factorization."""

import torch
from torch import Tensor

from wellposed.errors import require
from wellposed.optim._output_fit import OutputFit


def least_squares(design: Tensor, targets: Tensor, tikhonov: float) -> OutputFit:
    r"""Minimize $\tfrac1{2N} \|\Phi W - Y\|^2 + \tfrac\lambda2 \|W\|^2$.

    From the QR factorization of $\Phi / \sqrt N$ above $\sqrt\lambda I$, so that the condition
    number is not squared; its R is the Cholesky factor of K.

    Args:
        design: $\Phi$, shape (N, features), float64.
        targets: Y, shape (N, outputs), float64.
        tikhonov: $\lambda \ge 0$.

    Raises `ArgumentError` if the features are linearly dependent and nothing chooses among the
    solutions.
    """
    count, features = design.shape
    scale = count**-0.5
    rows = torch.cat([scale * design, tikhonov**0.5 * torch.eye(features).to(design)])
    require(
        rows.shape[0] >= features and (tikhonov > 0 or count >= features),
        f"{count} examples cannot determine the weights of {features} features; try tikhonov=1e-6",
    )
    q, r = torch.linalg.qr(rows)
    size = r.diagonal().abs()
    require(
        bool(size.min() > features * torch.finfo(r.dtype).eps * size.max()),
        "the features are linearly dependent, so many output layers are best; try tikhonov=1e-6",
    )
    weights = torch.linalg.solve_triangular(r, q[:count].T @ (scale * targets), upper=True)
    rest = design @ weights - targets
    left = design.T @ rest / count + tikhonov * weights
    return OutputFit(
        coefficients=weights,
        loss=rest.square().sum() / (2 * count) + tikhonov * weights.square().sum() / 2,
        residual=float(left.norm()),
        solves=1,
        slope=rest / count,
        curve=lambda u: u / count,
        inverse=lambda b: torch.cholesky_solve(b, r, upper=True),
    )
