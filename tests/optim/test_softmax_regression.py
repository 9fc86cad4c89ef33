"""The best output layer for the cross-entropy against scikit-learn and its own conditions."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from wellposed.errors import ArgumentError
from wellposed.optim import _softmax_regression
from wellposed.optim._softmax_regression import softmax_regression


def problem(noise=1.5):
    generator = torch.Generator().manual_seed(0)
    design = torch.randn(60, 4, dtype=torch.float64, generator=generator)
    scores = design[:, :3] + noise * torch.randn(60, 3, dtype=torch.float64, generator=generator)
    return design, scores.argmax(1), torch.zeros(4, 3, dtype=torch.float64)


def test_it_is_scikit_learns():
    design, labels, start = problem()
    fit = softmax_regression(design, labels, 0.02, start, tolerance=1e-11)
    theirs = LogisticRegression(C=1 / (60 * 0.02), fit_intercept=False, tol=1e-10, max_iter=1000)
    theirs.fit(design.numpy(), labels.numpy())
    np.testing.assert_allclose(fit.coefficients.T, theirs.coef_, atol=1e-5)
    assert fit.residual <= 1e-11


@pytest.mark.parametrize("tolerance", [1e-2, 1e-6, 1e-10])
def test_the_gradient_that_is_left_is_the_stated_one(tolerance):
    design, labels, start = problem()
    fit = softmax_regression(design, labels, 0.02, start, tolerance=tolerance)
    w = fit.coefficients.clone().requires_grad_()
    loss = torch.nn.functional.cross_entropy(design @ w, labels) + 0.01 * w.square().sum()
    (gradient,) = torch.autograd.grad(loss, w)
    assert float(gradient.norm()) == pytest.approx(fit.residual, rel=1e-3, abs=1e-15)
    assert fit.residual <= tolerance


def test_newton_needs_few_steps_and_none_from_the_solution():
    design, labels, start = problem()
    fit = softmax_regression(design, labels, 0.02, start, tolerance=1e-10)
    assert 2 <= fit.solves <= 8
    again = softmax_regression(design, labels, 0.02, fit.coefficients, tolerance=1e-10)
    assert again.solves == 0
    assert torch.equal(again.coefficients, fit.coefficients)


def test_separable_data_have_a_best_layer_with_tikhonov():
    design, labels, start = problem(noise=0.0)
    fit = softmax_regression(design, labels, 1e-8, start, tolerance=1e-9)
    assert bool(((design @ fit.coefficients).argmax(1) == labels).all())


def test_it_comes_back_from_a_far_start():
    design, labels, start = problem()
    far = start + 50 * torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(4, 3)
    one = softmax_regression(design, labels, 0.02, far, tolerance=1e-10)
    other = softmax_regression(design, labels, 0.02, start, tolerance=1e-10)
    torch.testing.assert_close(one.coefficients, other.coefficients, rtol=0, atol=1e-7)


def test_the_matrix_does_not_depend_on_how_many_rows_are_taken_at_a_time(monkeypatch):
    design, labels, start = problem()
    right = torch.ones(4, 3, dtype=torch.float64)
    whole = softmax_regression(design, labels, 0.02, start, tolerance=1e-10).inverse(right)
    monkeypatch.setattr(_softmax_regression, "_ROWS", 7)
    parts = softmax_regression(design, labels, 0.02, start, tolerance=1e-10).inverse(right)
    torch.testing.assert_close(parts, whole, rtol=1e-10, atol=1e-12)


def test_a_tolerance_out_of_reach_is_said():
    design, labels, start = problem()
    with pytest.raises(ArgumentError, match=r"not be solved to tolerance=1e-30.*Newton steps"):
        softmax_regression(design, labels, 0.02, start, tolerance=1e-30)


def test_a_matrix_that_is_not_positive_is_said():
    design, labels, start = problem()
    with pytest.raises(ArgumentError, match=r"not positive with tikhonov=-1"):
        softmax_regression(design, labels, -1.0, start, tolerance=1e-9)
