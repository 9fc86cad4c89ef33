"""NewtonCG against closed forms, scipy, and the rates it states."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize, rosen, rosen_hess
from torch import nn

from wellposed.errors import ArgumentError
from wellposed.optim import NewtonCG


def vector(values):
    return nn.Parameter(torch.as_tensor(values, dtype=torch.float64).clone())


def rosenbrock(w):
    return (100 * (w[1:] - w[:-1].square()).square() + (1 - w[:-1]).square()).sum()


@given(st.lists(st.floats(0.5, 10), min_size=1, max_size=10), st.integers(0, 500))
def test_a_quadratic_takes_one_step_of_at_most_n_products(values, seed):
    generator = torch.Generator().manual_seed(seed)
    n = len(values)
    q, _ = torch.linalg.qr(torch.randn(n, n, dtype=torch.float64, generator=generator))
    a = q @ torch.diag(torch.tensor(values, dtype=torch.float64)) @ q.T
    b = torch.randn(n, dtype=torch.float64, generator=generator)
    w = vector(torch.zeros(n))
    optimizer = NewtonCG([w], forcing=30.0, max_products=n)  # |g| < 1 below: solve exactly
    scale = 0.1 / float(b.norm())
    optimizer.step(lambda: scale * (w @ a @ w / 2 - b @ w))
    assert optimizer.effort.products <= n
    expected = torch.linalg.solve(a, b)
    assert float((w.detach() - expected).norm()) <= 1e-8 * float(expected.norm())


def test_only_as_exactly_as_the_forcing_term_asks():
    w = vector(torch.linspace(1, 2, 30))
    curvature = torch.logspace(0, 3, 30, dtype=torch.float64)

    def loss():
        return (curvature * w.square()).sum() / 2

    norms = []
    for _ in range(3):
        norms.append(float((curvature * w.detach()).norm()))
        NewtonCG([w], max_products=200).step(loss)
    norms.append(float((curvature * w.detach()).norm()))
    for before, after in itertools.pairwise(norms):
        assert after <= min(0.5, math.sqrt(before)) * before * (1 + 1e-9)


@pytest.mark.parametrize(("forcing", "order"), [(1.0, 2.0), (0.5, 1.5)])
def test_it_converges_with_the_order_that_it_states(forcing, order):
    # Logistic regression with a penalty: convex, not quadratic. Order from |g| at three steps.
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(200, 40, dtype=torch.float64, generator=generator)
    x *= torch.logspace(0, 1.5, 40, dtype=torch.float64)
    y = (torch.rand(200, dtype=torch.float64, generator=generator) < 0.5).double()
    w = vector(torch.zeros(40))

    def loss():
        return nn.functional.binary_cross_entropy_with_logits(x @ w, y) + w.square().sum() / 20

    optimizer = NewtonCG([w], forcing=forcing, max_products=500)
    norms = []
    for _ in range(25):
        (g,) = torch.autograd.grad(loss(), [w])
        norms.append(float(g.norm()))
        if norms[-1] < 1e-9:
            break
        optimizer.step(loss)
    assert norms[-1] < 1e-8
    assert optimizer.param_groups[0]["alpha"] >= 1
    # |g_next| <= C |g|^order with C read off while |g| falls from 1e-1 on
    near = [(a, b) for a, b in itertools.pairwise(norms) if 1e-10 < a < 1e-1]
    assert len(near) >= 2
    constants = [b / a**order for a, b in near if b > 1e-13]
    assert max(constants) < 20
    if order == 2:
        (a, b), (c, d) = near[-2:]
        assert math.log(max(d, 1e-15) / b) / math.log(c / a) > 1.7


def test_rosenbrock_with_scipys_number_of_steps():
    start = [-1.2, 1.0]
    w = vector(start)
    optimizer = NewtonCG([w], forcing=1.0)
    steps = 0
    while rosenbrock(w).item() > 1e-20 and steps < 100:
        optimizer.step(lambda: rosenbrock(w))
        steps += 1
    # scipy's own Newton-CG, with exact first and second derivatives
    theirs = minimize(
        rosen, start, method="Newton-CG", jac=_rosen_gradient, hess=rosen_hess,
        options={"xtol": 1e-12},
    )  # fmt: skip
    assert theirs.success
    np.testing.assert_allclose(w.detach(), theirs.x, atol=1e-8)
    assert steps <= 2 * theirs.nit
    assert optimizer.effort.gradients == steps


def _rosen_gradient(z):
    return np.array([-400 * z[0] * (z[1] - z[0] ** 2) - 2 * (1 - z[0]), 200 * (z[1] - z[0] ** 2)])


@pytest.mark.simulation
@given(st.lists(st.floats(-2, 2), min_size=2, max_size=5), st.sampled_from([None, 0.1, 2.0]))
def test_armijo_holds_at_every_accepted_step(start, radius):
    # g'd is not seen from outside, but E(w + ad) <= E(w) + c1 a g'd = E(w) + c1 g'(w' - w).
    w = vector(start)
    optimizer = NewtonCG([w], radius=radius)
    for _ in range(15):
        before, loss = w.detach().clone(), rosenbrock(w)
        (g,) = torch.autograd.grad(loss, [w])
        optimizer.step(lambda: rosenbrock(w))
        moved = w.detach() - before
        if optimizer.outcome != "accepted":
            assert torch.equal(w.detach(), before)
            break
        slope = float(g @ moved)
        assert slope < 0
        assert rosenbrock(w).item() <= loss.item() + 1e-4 * slope * (1 - 1e-6)
        if radius is not None:
            assert float(moved.norm()) <= radius * (1 + 1e-9)


def test_it_leaves_a_maximum_and_finds_a_minimum_of_the_double_well():
    w = vector([1e-3, 0.5])  # curvature -1 along the first coordinate

    def loss():
        return (w[0].square() - 1).square() / 4 + w[1].square()

    optimizer = NewtonCG([w], iterations=30)
    optimizer.step(loss)
    torch.testing.assert_close(w.detach(), torch.tensor([1.0, 0.0]).double(), rtol=0, atol=1e-6)


def test_effort_counts_what_was_called():
    w = vector([-1.2, 1.0])
    calls = []

    def loss():
        calls.append(1)
        return rosenbrock(w)

    optimizer = NewtonCG([w])
    for _ in range(5):
        optimizer.step(loss)
    assert optimizer.effort.gradients == 5
    assert optimizer.effort.gradients + optimizer.effort.losses == len(calls)
    assert 5 <= optimizer.effort.products <= 10  # in two dimensions at most 2 per step
    assert optimizer.effort.solves == 0


def test_a_loss_with_derivatives_by_its_inputs_can_be_minimized():
    # The boundary value problem u'' = 2, u = x^2 + a x + b with weights a, b and u(0) = u(1) = 0.
    w = vector([0.3, -0.2])
    x = torch.linspace(0, 1, 11, dtype=torch.float64, requires_grad=True)

    def loss():
        u = x.square() + w[0] * x + w[1]
        (slope,) = torch.autograd.grad(u.sum(), x, create_graph=True)
        return u[0].square() + u[-1].square() + (slope[5] - 0.0).square()

    NewtonCG([w], iterations=5).step(loss)
    torch.testing.assert_close(w.detach(), torch.tensor([-1.0, 0.0]).double(), rtol=0, atol=1e-9)


def test_a_closure_that_calls_backward_is_told_so():
    w = vector([1.0, 2.0])

    def loss():
        value = rosenbrock(w)
        value.backward()
        return value

    with pytest.raises(ArgumentError, match=r"called backward\(\)"):
        NewtonCG([w]).step(loss)
    assert w.tolist() == [1.0, 2.0]


WRONG = [
    ({"lr": -1.0}, "lr=-1"),
    ({"iterations": 0}, "iterations=0"),
    ({"max_products": 0}, "max_products=0"),
    ({"max_trials": 0}, "max_trials=0"),
    ({"forcing": 0.0}, "forcing=0"),
    ({"radius": -2.0}, "radius=-2"),
]


@pytest.mark.parametrize(("arguments", "sentence"), WRONG, ids=[s for _, s in WRONG])
def test_a_wrong_argument_is_refused(arguments, sentence):
    with pytest.raises(ArgumentError, match=sentence):
        NewtonCG([vector([1.0])], **arguments)
