"""The reduced curvature against the dense Schur complement."""

import pytest
import torch

from wellposed.optim._least_squares import least_squares
from wellposed.optim._softmax_regression import softmax_regression


def problem():
    generator = torch.Generator().manual_seed(0)
    design = torch.randn(12, 4, dtype=torch.float64, generator=generator)
    return design, torch.arange(12) % 3


def fits():
    design, labels = problem()
    hot = torch.nn.functional.one_hot(labels, 3).double()
    start = torch.zeros(4, 3, dtype=torch.float64)
    return {
        "squared error": (least_squares(design, hot, 0.1), lambda f: (f - hot).square().sum() / 24),
        "cross-entropy": (
            softmax_regression(design, labels, 0.1, start, tolerance=1e-10),
            lambda f: torch.nn.functional.cross_entropy(f, labels),
        ),
    }


@pytest.mark.parametrize("loss", ["squared error", "cross-entropy"])
def test_it_is_the_schur_complement_of_the_joint_matrix(loss):
    design, _ = problem()
    fit, mean = fits()[loss]
    outputs = design @ fit.coefficients
    h = torch.autograd.functional.hessian(lambda f: mean(f.reshape(12, 3)), outputs.reshape(-1))
    a = torch.kron(design, torch.eye(3, dtype=torch.float64))  # outputs by entries of W
    k = a.T @ h @ a + 0.1 * torch.eye(12, dtype=torch.float64)
    expected = h - h @ a @ torch.linalg.solve(k, a.T @ h)
    found = torch.stack(
        [
            fit.reduced(design, u.reshape(12, 3)).reshape(-1)
            for u in torch.eye(36, dtype=torch.float64)
        ],
        1,
    )
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)
    assert torch.linalg.eigvalsh(found)[0] > -1e-14


@pytest.mark.parametrize("loss", ["squared error", "cross-entropy"])
def test_slope_and_loss_are_those_of_autograd(loss):
    design, _ = problem()
    fit, mean = fits()[loss]
    outputs = (design @ fit.coefficients).requires_grad_()
    value = mean(outputs)
    (slope,) = torch.autograd.grad(value, outputs)
    torch.testing.assert_close(fit.slope, slope, rtol=1e-12, atol=1e-15)
    expected = value.item() + 0.05 * fit.coefficients.square().sum().item()
    assert fit.loss.item() == pytest.approx(expected, rel=1e-12)
