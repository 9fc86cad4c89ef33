"""GaussNewton against Newton, dense algebra and scipy."""

import numpy as np
import pytest
import torch
from scipy.optimize import least_squares
from torch import nn
from torch.nn import functional

from wellposed.errors import ArgumentError
from wellposed.optim import GaussNewton, NewtonCG


def vector(values):
    return nn.Parameter(torch.as_tensor(values, dtype=torch.float64).clone())


def half_square(residuals):
    return residuals.square().sum() / 2, residuals


def test_for_linear_residuals_it_is_newton():
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(9, 4, dtype=torch.float64, generator=generator)
    b = torch.randn(9, dtype=torch.float64, generator=generator)
    one, other = vector(torch.zeros(4)), vector(torch.zeros(4))
    ours, theirs = GaussNewton([one]), NewtonCG([other])
    for _ in range(3):
        ours.step(lambda: half_square(a @ one - b))
        theirs.step(lambda: half_square(a @ other - b)[0])
        torch.testing.assert_close(one.detach(), other.detach(), rtol=1e-12, atol=1e-13)
    GaussNewton([one], iterations=20).step(lambda: half_square(a @ one - b))
    expected = torch.linalg.lstsq(a, b.unsqueeze(1)).solution[:, 0]
    torch.testing.assert_close(one.detach(), expected, rtol=1e-6, atol=1e-7)


def test_one_exact_step_is_that_of_the_dense_matrix():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3)).double()
        inputs = torch.randn(20, 3, dtype=torch.float64)
    labels = torch.arange(20) % 3
    params = list(model.parameters())
    before = torch.cat([p.detach().reshape(-1) for p in params])
    outputs = model(inputs)
    rows = [
        torch.cat([g.reshape(-1) for g in torch.autograd.grad(f, params, retain_graph=True)])
        for f in outputs.reshape(-1)
    ]
    j = torch.stack(rows)
    p = outputs.detach().softmax(1)
    h = torch.block_diag(*[(torch.diag(q) - torch.outer(q, q)) / 20 for q in p])
    slope = (p - functional.one_hot(labels, 3)).reshape(-1) / 20
    n = len(before)
    matrix = j.T @ h @ j + 0.5 * torch.eye(n, dtype=torch.float64)
    expected = before - torch.linalg.solve(matrix, j.T @ slope)

    def closure():
        outputs = model(inputs)
        return functional.cross_entropy(outputs, labels), outputs

    GaussNewton(model.parameters(), damping=0.5, forcing=30.0, max_products=n).step(closure)
    found = torch.cat([p.detach().reshape(-1) for p in params])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


def exponentials(w, times, data):
    return w[0] * torch.exp(-w[1] * times) + w[2] - data


def curve():
    times = torch.linspace(0, 4, 40, dtype=torch.float64)
    generator = torch.Generator().manual_seed(2)
    noise = 0.01 * torch.randn(40, dtype=torch.float64, generator=generator)
    return times, 2.0 * torch.exp(-1.3 * times) + 0.5 + noise


def test_a_nonlinear_fit_ends_where_scipys_does():
    times, data = curve()
    w = vector([1.0, 0.5, 0.0])
    optimizer = GaussNewton([w], iterations=30)
    optimizer.step(lambda: half_square(exponentials(w, times, data)))
    theirs = least_squares(
        lambda z: exponentials(torch.tensor(z), times, data).numpy(), [1.0, 0.5, 0.0], xtol=1e-14
    )
    np.testing.assert_allclose(w.detach(), theirs.x, rtol=1e-6)
    assert optimizer.effort.gradients <= 2 * theirs.nfev


@pytest.mark.parametrize("offset", [0.0, 0.3])
def test_small_residuals_converge_superlinearly_and_large_ones_only_linearly(offset):
    # r = (w, w^2/2 + k): at w = 0 the neglected curvature is k against J'J = 1, so that one step
    # multiplies the error by -k to first order.
    w = vector([1e-3])
    optimizer = GaussNewton([w], forcing=1.0)
    errors = [1e-3]
    for _ in range(2):
        optimizer.step(lambda: half_square(torch.cat([w, w.square() / 2 + offset])))
        errors.append(w.item())
    if offset:
        assert errors[1] / errors[0] == pytest.approx(-offset, rel=1e-2)
        assert errors[2] / errors[1] == pytest.approx(-offset, rel=1e-2)
    else:
        assert abs(errors[1]) < 1e-8


def test_where_the_hessian_is_indefinite_gauss_newton_is_not():
    # f = w^3 - 3w near 0 with target 2: E'' = 9(w^2-1)^2 + 6w(f - 2) < 0 for some w in (0.6, 1).
    w = vector([0.8])
    (g,) = torch.autograd.grad(half_square(w.pow(3) - 3 * w - 2)[0], [w], create_graph=True)
    (curvature,) = torch.autograd.grad(g, [w])
    assert curvature.item() < 0
    GaussNewton([w], iterations=40).step(lambda: half_square(w.pow(3) - 3 * w - 2))
    assert min(abs(w.item() + 1), abs(w.item() - 2)) < 1e-3


def test_damping_is_the_curvature_of_a_quadratic_penalty():
    times, data = curve()
    one, other = vector([1.0, 0.5, 0.0]), vector([1.0, 0.5, 0.0])

    def penalized(w):
        loss, residuals = half_square(exponentials(w, times, data))
        return loss + 0.35 * w.square().sum(), residuals

    GaussNewton([one], damping=0.7, iterations=100).step(lambda: penalized(one))
    (g,) = torch.autograd.grad(penalized(one)[0], [one])
    assert float(g.norm()) < 1e-6
    # the same by residuals that hold the penalty
    root = 0.7**0.5

    def stacked():
        return half_square(torch.cat([exponentials(other, times, data), root * other]))

    GaussNewton([other], iterations=100).step(stacked)
    torch.testing.assert_close(one.detach(), other.detach(), rtol=1e-6, atol=1e-8)


WRONG = [
    (lambda w: w.square().sum(), "returned a Tensor.*loss, outputs"),
    (lambda w: (w.square().sum(), w.square().sum(), w), "returned a tuple"),
    (lambda w: (w.square().sum(), 3.0 * w), "does not depend on the outputs"),
    (lambda w: ((f := 3.0 * w).sum(), f), "linear in the outputs"),
]


@pytest.mark.parametrize(("closure", "sentence"), WRONG, ids=[s[:18] for _, s in WRONG])
def test_a_wrong_closure_is_told_so(closure, sentence):
    w = vector([1.0, 2.0])
    with pytest.raises(ArgumentError, match=sentence):
        GaussNewton([w]).step(lambda: closure(w))
    assert w.tolist() == [1.0, 2.0]


def test_a_negative_damping_is_refused():
    with pytest.raises(ArgumentError, match="damping=-1"):
        GaussNewton([vector([1.0])], damping=-1.0)
