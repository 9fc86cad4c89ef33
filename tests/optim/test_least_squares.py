"""The best output layer for the squared error against numpy and scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from wellposed.errors import ArgumentError
from wellposed.optim._least_squares import least_squares


def problem(count=20, features=5):
    generator = torch.Generator().manual_seed(0)
    design = torch.randn(count, features, dtype=torch.float64, generator=generator)
    return design, torch.randn(count, 2, dtype=torch.float64, generator=generator)


def test_without_tikhonov_it_is_numpys():
    design, targets = problem()
    fit = least_squares(design, targets, 0.0)
    expected = np.linalg.lstsq(design.numpy(), targets.numpy(), rcond=None)[0]
    np.testing.assert_allclose(fit.coefficients, expected, rtol=1e-10)
    assert fit.residual < 1e-14


def test_with_tikhonov_it_is_ridge_regression():
    design, targets = problem()
    fit = least_squares(design, targets, 0.3)
    theirs = Ridge(alpha=0.3 * 20, fit_intercept=False).fit(design.numpy(), targets.numpy())
    np.testing.assert_allclose(fit.coefficients, theirs.coef_.T, rtol=1e-10)
    assert fit.residual < 1e-14


def test_the_condition_number_is_not_squared():
    design, _ = problem()
    design[:, 1] = design[:, 0] + 1e-9 * design[:, 1]  # the normal equations are singular here
    truth = torch.ones(5, 2, dtype=torch.float64)
    fit = least_squares(design, design @ truth, 0.0)
    torch.testing.assert_close(fit.coefficients, truth, rtol=0, atol=1e-5)


def test_the_inverse_is_that_of_k():
    design, targets = problem()
    fit = least_squares(design, targets, 0.3)
    k = design.T @ design / 20 + 0.3 * torch.eye(5, dtype=torch.float64)
    right = torch.linspace(0, 1, 10, dtype=torch.float64).reshape(5, 2)
    torch.testing.assert_close(k @ fit.inverse(right), right, rtol=1e-12, atol=1e-13)


def test_fewer_examples_than_features_need_tikhonov():
    design, targets = problem(3)
    with pytest.raises(ArgumentError, match=r"3 examples cannot determine.*5 features.*tikhonov"):
        least_squares(design, targets, 0.0)
    assert least_squares(design, targets, 1e-6).residual < 1e-9


def test_dependent_features_need_tikhonov():
    design, targets = problem()
    design[:, 1] = 2 * design[:, 0]
    with pytest.raises(ArgumentError, match=r"linearly dependent.*tikhonov=1e-6"):
        least_squares(design, targets, 0.0)
    assert least_squares(design, targets, 1e-6).residual < 1e-9
