"""Truncated conjugate gradients against dense solves and the exact trust region."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse.linalg import cg

from wellposed.linalg import steihaug


def spectrum(values, seed=0):
    """A symmetric matrix with these eigenvalues, and a right-hand side."""
    generator = torch.Generator().manual_seed(seed)
    n = len(values)
    q, _ = torch.linalg.qr(torch.randn(n, n, dtype=torch.float64, generator=generator))
    a = q @ torch.diag(torch.tensor(values, dtype=torch.float64)) @ q.T
    return (a + a.T) / 2, torch.randn(n, dtype=torch.float64, generator=generator)


@given(st.lists(st.floats(0.5, 20), min_size=1, max_size=12), st.integers(0, 1000))
def test_it_solves_in_at_most_n_products(values, seed):
    a, b = spectrum(values, seed)
    found = steihaug(lambda v: a @ v, b, tolerance=1e-8 * float(b.norm()), max_products=len(b))
    assert found.ended == "converged"
    assert found.products <= len(values)
    assert float((a @ found.x - b).norm()) <= 1e-7 * float(b.norm())


def test_as_many_products_as_different_eigenvalues():
    a, b = spectrum([1.0] * 5 + [3.0] * 5 + [10.0] * 5)
    found = steihaug(lambda v: a @ v, b, tolerance=1e-10, max_products=15)
    assert found.products == 3


def test_it_takes_the_iterations_that_scipy_takes():
    # So well conditioned that rounding, which differs between libraries, costs no iterations.
    a, b = spectrum(list(np.geomspace(1, 50, 60)))
    counts = []
    expected, _ = cg(a.numpy(), b.numpy(), rtol=1e-6, callback=lambda _: counts.append(1))
    tolerance = 1e-6 * float(b.norm())
    found = steihaug(lambda v: a @ v, b, tolerance=tolerance, max_products=1000)
    assert abs(found.products - len(counts)) <= 1
    np.testing.assert_allclose(found.x.numpy(), expected, rtol=1e-3, atol=1e-6)


def test_a_radius_is_kept_and_reached():
    a, b = spectrum([1.0, 2.0, 5.0, 9.0])
    length = float(torch.linalg.solve(a, b).norm())
    inside = steihaug(lambda v: a @ v, b, tolerance=1e-12, max_products=9, radius=1.01 * length)
    assert inside.ended == "converged"
    cut = steihaug(lambda v: a @ v, b, tolerance=1e-12, max_products=9, radius=0.5 * length)
    assert cut.ended == "trust radius"
    assert float(cut.x.norm()) == pytest.approx(0.5 * length, rel=1e-12)
    # Steihaug: at least half the decrease of the exact solution in the ball; here from the
    # secular equation |(A + sI)^-1 b| = radius by bisection.
    low, high = 0.0, 1e3
    for _ in range(200):
        shift = (low + high) / 2
        x = torch.linalg.solve(a + shift * torch.eye(4, dtype=torch.float64), b)
        low, high = (shift, high) if float(x.norm()) > 0.5 * length else (low, shift)
    exact, ours = (float(b @ v - v @ a @ v / 2) for v in (x, cut.x))
    assert 0.5 * exact <= ours <= exact * (1 + 1e-12)


def test_negative_curvature_leads_to_the_boundary_or_back_to_the_last_iterate():
    a, b = spectrum([4.0, 2.0, 1.0, -0.5], seed=3)
    at = steihaug(lambda v: a @ v, b, tolerance=0.0, max_products=9, radius=50.0)
    assert at.ended == "negative curvature"
    assert float(at.x.norm()) == pytest.approx(50.0, rel=1e-12)
    free = steihaug(lambda v: a @ v, b, tolerance=0.0, max_products=9)
    assert free.ended == "negative curvature"
    assert free.products > 1
    assert float(b @ free.x) > 0
    truncated = steihaug(lambda v: a @ v, b, tolerance=0.0, max_products=free.products - 1)
    assert torch.equal(free.x, truncated.x)


def test_negative_curvature_at_once_gives_a_step_along_b():
    b = torch.tensor([3.0, 4.0])
    found = steihaug(lambda v: -2.0 * v, b, tolerance=0.0, max_products=5)
    torch.testing.assert_close(found.x, b / 2.0)
    assert (found.products, found.ended) == (1, "negative curvature")
    flat = steihaug(lambda v: 0.0 * v, b, tolerance=0.0, max_products=5)
    assert torch.equal(flat.x, b)


@given(
    st.lists(st.floats(-5, 5), min_size=1, max_size=8),
    st.integers(0, 1000),
    st.sampled_from([0.1, 3.0, math.inf]),
)
def test_it_is_a_direction_of_descent_inside_the_ball(values, seed, radius):
    a, b = spectrum(values, seed)
    found = steihaug(lambda v: a @ v, b, tolerance=1e-10, max_products=8, radius=radius)
    assert float(b @ found.x) > 0
    assert float(found.x.norm()) <= radius * (1 + 1e-12)


def test_a_right_hand_side_of_zero_needs_no_product():
    found = steihaug(lambda v: v / 0, torch.zeros(3), tolerance=0.0, max_products=5)
    assert (found.products, found.ended) == (0, "converged")
    assert not found.x.any()


@pytest.mark.parametrize("at", [1, 3])
def test_a_product_that_is_not_finite_ends_it_with_a_finite_direction(at):
    a, b = spectrum([1.0, 2.0, 5.0, 9.0])
    calls = []

    def product(v):
        calls.append(1)
        return a @ v * (math.nan if len(calls) == at else 1.0)

    found = steihaug(product, b, tolerance=0.0, max_products=9)
    assert (found.ended, found.products) == ("product not finite", at)
    assert float(b @ found.x) > 0


def test_the_limit_of_products_is_kept():
    a, b = spectrum([1.0, 2.0, 5.0, 9.0])
    found = steihaug(lambda v: a @ v, b, tolerance=0.0, max_products=2)
    assert (found.ended, found.products) == ("limit of products", 2)
    assert found.residual == pytest.approx(float((a @ found.x - b).norm()), rel=1e-12)
