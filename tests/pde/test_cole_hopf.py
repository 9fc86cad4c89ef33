import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import erfcx

from wellposed.pde import Grid, cole_hopf, gibbs, heat, hopf_lax

GRID = Grid.box((-4, 4, 801))
X = GRID.axes[0]
H = GRID.spacing[0]
WELL = (X**2 - 1) ** 2 + 0.3 * X


@pytest.mark.parametrize("beta", [2.0, 20.0])
@pytest.mark.parametrize("curvature", [3.0, -1.0])
def test_quadratic(beta, curvature):
    # u = (x^2 A / (1 + tA) + log(1 + tA) / beta) / 2, for A > -1/t; its slope does not know beta.
    t = 0.3
    grid = Grid.box((-6, 6, 601))
    x = grid.axes[0]
    found = cole_hopf(curvature * x**2 / 2, grid, t, beta)
    near = np.abs(x) < 1.5
    grown = 1 + t * curvature
    expected = curvature * x**2 / (2 * grown) + np.log(grown) / (2 * beta)
    np.testing.assert_allclose(found.values[near], expected[near], rtol=0, atol=1e-9)
    slope = curvature * x / grown
    np.testing.assert_allclose(found.gradient[0][near], slope[near], rtol=0, atol=1e-8)


def test_quadratic_in_two_variables():
    grid = Grid.box((-3, 3, 91), (-3, 3, 121))
    matrix, t, beta = np.array([[2.0, 0.6], [0.6, 1.0]]), 0.3, 5.0
    f = 0.5 * np.einsum("i...,ij,j...->...", grid.points, matrix, grid.points)
    found = cole_hopf(f, grid, t, beta)
    grown = np.eye(2) + t * matrix
    hessian = matrix @ np.linalg.inv(grown)
    expected = 0.5 * np.einsum("i...,ij,j...->...", grid.points, hessian, grid.points)
    expected += np.log(np.linalg.det(grown)) / (2 * beta)
    near = (np.abs(grid.points) < 1).all(axis=0)
    assert found.trusted[near].all()
    np.testing.assert_allclose(found.values[near], expected[near], rtol=0, atol=1e-9)


def absolute_value(x, t, beta):
    """The closed form for |x|, with erfcx so that nothing overflows."""
    width = np.sqrt(2 * t / beta)
    both = erfcx((t - x) / width) + erfcx((t + x) / width)
    return x**2 / (2 * t) - np.log(both / 2) / beta


@pytest.mark.parametrize("beta", [3.0, 10.0, 100.0])
def test_absolute_value(beta):
    # The trapezoidal rule has an error at the kink: h^2 / 6 times the density there.
    found = cole_hopf(np.abs(X), GRID, 0.3, beta)
    near = np.abs(X) < 1
    expected = absolute_value(X[near], 0.3, beta)
    np.testing.assert_allclose(found.values[near], expected, rtol=0, atol=0.15 * H**2 * (beta + 2))


def test_kinks_cost_two_orders_exactly():
    errors = []
    for n in (101, 201, 401):
        grid = Grid.box((-4, 4, n))
        x = grid.axes[0]
        near = np.abs(x) < 1
        found = cole_hopf(np.abs(x), grid, 0.3, 3.0).values[near]
        errors.append(np.abs(found - absolute_value(x[near], 0.3, 3.0)).max())
    orders = np.log2(np.divide(errors[:-1], errors[1:]))
    np.testing.assert_allclose(orders, 2, atol=0.1)


def test_the_equation_holds_on_the_double_well():
    t, beta, step = 0.2, 4.0, 1e-3
    before, at, after = (cole_hopf(WELL, GRID, t + k * step, beta) for k in (-1, 0, 1))
    near = np.abs(X) < 1.6
    rate = (after.values - before.values) / (2 * step)
    bend = np.gradient(at.gradient[0], H)
    residual = rate + 0.5 * at.gradient[0] ** 2 - bend / (2 * beta)
    assert np.abs(residual[near]).max() < 2e-3  # second differences on h = 0.01
    coarse = np.gradient(at.gradient[0][::2], 2 * H)
    wrong = (rate + 0.5 * at.gradient[0] ** 2)[::2] - coarse / (2 * beta)
    ratio = np.abs(wrong[near[::2]]).max() / np.abs(residual[near]).max()
    assert ratio == pytest.approx(4, rel=0.1)  # the residual is that of the differences


def test_gradient_and_hessian_are_moments_of_the_gibbs_density():
    t, beta = 0.2, 4.0
    found, density = cole_hopf(WELL, GRID, t, beta), gibbs(WELL, GRID, t, beta)
    near = np.abs(X) < 1.6
    slope = np.gradient(found.values, H)
    np.testing.assert_allclose(found.gradient[0][near], slope[near], rtol=0, atol=1e-3)
    # the slope is exact: mean of the slope of f over the same density
    bend = np.gradient(found.gradient[0], H)
    expected = 1 / t - beta * density.variance[0] / t**2
    np.testing.assert_allclose(bend[near], expected[near], rtol=0, atol=2e-2)


def test_high_temperature_is_heat():
    # t = tau beta with beta -> 0: the difference is beta Var f / 2, of first order.
    f, tau = np.cos(3 * X), 0.1
    warm = heat(f, GRID, tau).values
    gaps = [np.abs(cole_hopf(f, GRID, tau * b, b).values - warm).max() for b in (1e-2, 1e-3)]
    assert gaps[1] < 1e-3
    assert gaps[0] / gaps[1] == pytest.approx(10, rel=0.02)


def test_low_temperature_is_the_moreau_envelope():
    grid, t = Grid.box((-2, 2, 801)), 0.3
    x = grid.axes[0]
    f = (x**2 - 1) ** 2 + 0.3 * x
    cold = hopf_lax(f, grid, t).values
    gaps = [np.abs(cole_hopf(f, grid, t, b).values - cold).max() for b in (30.0, 300.0, 3000.0)]
    assert gaps[0] > gaps[1] > gaps[2]
    assert gaps[2] < 1e-3
    assert gaps[0] / gaps[2] == pytest.approx(100, rel=0.15)  # of order 1/beta


def test_relaxing_twice_is_relaxing_once_for_both_times():
    twice = cole_hopf(cole_hopf(WELL, GRID, 0.1, 4.0).values, GRID, 0.2, 4.0)
    once = cole_hopf(WELL, GRID, 0.3, 4.0)
    np.testing.assert_allclose(twice.values, once.values, rtol=0, atol=1e-8)
    np.testing.assert_allclose(twice.gradient, once.gradient, rtol=0, atol=1e-7)


losses = arrays(np.float64, 30, elements=st.floats(-10, 10))


@given(f=losses, shift=st.floats(-100, 100), t=st.floats(1.0, 30.0), beta=st.floats(0.01, 1.0))
def test_constants_pass_through_and_extremes_are_kept(f, shift, t, beta):
    grid = Grid.box((0, 29, 30))
    found = cole_hopf(f, grid, t, beta).values
    shifted = cole_hopf(f + shift, grid, t, beta).values
    np.testing.assert_allclose(shifted, found + shift, atol=1e-9)
    assert f.min() - 1e-9 <= found.min()
    assert found.max() <= f.max() + 1e-9


@given(f=losses, t=st.floats(1.0, 30.0), beta=st.floats(0.01, 1.0))
def test_it_lies_between_the_envelope_and_the_heat(f, t, beta):
    # Jensen: E f >= -log E exp(-beta f) / beta; and no sum exceeds its largest term.
    grid = Grid.box((0, 29, 30))
    found = cole_hopf(f, grid, t, beta).values
    assert (found <= heat(f, grid, t / beta).values + 1e-9).all()
