import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from wellposed.errors import ArgumentError
from wellposed.pde import Grid, hopf_lax, sup_convolution

GRID = Grid.box((-4, 4, 1601))
X = GRID.axes[0]
H = GRID.spacing[0]


def bound(t, curvature=0.0, h=H):
    """How far the minimum over the grid may lie above the minimum."""
    return h**2 * (curvature + 1 / t) / 8 + 1e-12


def test_absolute_value_becomes_hubers_function_and_its_prox_the_soft_threshold():
    t = 0.3
    found = hopf_lax(np.abs(X), GRID, t)
    huber = np.where(np.abs(X) <= t, X**2 / (2 * t), np.abs(X) - t / 2)
    assert (found.values >= huber - 1e-12).all()
    np.testing.assert_allclose(found.values, huber, rtol=0, atol=bound(t))
    soft = np.sign(X) * np.maximum(np.abs(X) - t, 0)
    np.testing.assert_allclose(found.points[0], soft, rtol=0, atol=H)


@pytest.mark.parametrize("curvature", [2.0, -1.0])
def test_quadratic(curvature):
    # u = x^2 A / (2 (1 + tA)) and prox = x / (1 + tA), as long as 1 + tA > 0.
    t, near = 0.5, np.abs(X) < 1.5
    found = hopf_lax(curvature * X**2 / 2, GRID, t)
    expected = curvature * X**2 / (2 * (1 + t * curvature))
    np.testing.assert_allclose(
        found.values[near], expected[near], rtol=0, atol=bound(t, max(curvature, 0))
    )
    place = X / (1 + t * curvature)
    np.testing.assert_allclose(found.points[0][near], place[near], rtol=0, atol=H)
    slope = curvature * place
    np.testing.assert_allclose(found.gradient[0][near], slope[near], rtol=0, atol=H / t)


def test_minus_absolute_value_falls_everywhere():
    t = 0.3
    found = hopf_lax(-np.abs(X), GRID, t)
    near = np.abs(X) < 3.5
    np.testing.assert_allclose(found.values[near], (-np.abs(X) - t / 2)[near], atol=bound(t))


def test_prox_of_the_logarithmic_barrier():
    grid, t = Grid.box((0.01, 4, 2001)), 0.4
    x = grid.axes[0]
    found = hopf_lax(-np.log(x), grid, t)
    root = (x + np.sqrt(x**2 + 4 * t)) / 2
    near = root < 3.9
    np.testing.assert_allclose(found.points[0][near], root[near], rtol=0, atol=grid.spacing[0])


def test_two_variables_are_done_one_after_the_other():
    grid, t = Grid.box((-2, 2, 41), (-1, 1, 31)), 0.2
    x, y = grid.points
    f = np.sin(3 * x * y) + x**2 - 0.3 * y
    found = hopf_lax(f, grid, t)
    distance = (x.ravel()[:, None] - x.ravel()) ** 2 + (y.ravel()[:, None] - y.ravel()) ** 2
    everything = f.ravel() + distance / (2 * t)
    np.testing.assert_allclose(found.values.ravel(), everything.min(axis=1), atol=1e-12)
    # value, points and gradient tell the same story
    away = ((grid.points - found.points) ** 2).sum(axis=0) / (2 * t)
    there = np.sin(3 * found.points[0] * found.points[1]) + found.points[0] ** 2
    there -= 0.3 * found.points[1]
    np.testing.assert_allclose(found.values, there + away, atol=1e-12)
    np.testing.assert_allclose(found.points, grid.points - t * found.gradient, atol=1e-12)


def test_the_value_on_a_finer_grid_is_closer_by_two_orders():
    errors = []
    for n in (161, 321, 641):
        grid = Grid.box((-4, 4, n))
        x = grid.axes[0]
        exact = x**2 / (2 * 1.37)
        errors.append(np.abs(hopf_lax(x**2 / 2, grid, 0.37).values - exact).max())
    orders = np.log2(np.divide(errors[:-1], errors[1:]))
    np.testing.assert_allclose(orders, 2, atol=0.3)


losses = arrays(np.float64, 30, elements=st.floats(-10, 10))
LINE = Grid.box((0, 29, 30))


def relaxed(f, t):
    assume(np.abs(np.diff(f)).max() >= 0.5 / t)
    return hopf_lax(f, LINE, t)


@given(f=losses, t=st.floats(0.1, 30.0))
def test_it_is_below_the_loss_and_has_its_minimum(f, t):
    found = relaxed(f, t).values
    assert (found <= f).all()
    assert found.min() == f.min()
    assert found[f.argmin()] == f.min()


@given(f=losses, t=st.floats(0.1, 10.0), s=st.floats(0.1, 10.0))
def test_it_falls_with_time_and_twice_is_at_most_above_once(f, t, s):
    first = relaxed(f, t).values
    once = hopf_lax(f, LINE, t + s).values
    assert (once <= first + 1e-9).all()
    assume(np.abs(np.diff(first)).max() >= 0.5 / s)
    twice = hopf_lax(first, LINE, s).values
    assert (twice >= once - 1e-9).all()  # the point in between had to lie on the grid
    assert (twice <= once + (1 / s + 1 / t) / 8 + 1e-9).all()


@given(f=losses, g=losses, t=st.floats(0.1, 30.0))
def test_order_is_kept_and_differences_do_not_grow(f, g, t):
    a, b = relaxed(f, t).values, relaxed(g, t).values
    assert np.abs(a - b).max() <= np.abs(f - g).max() + 1e-9


def test_upper_envelope_of_a_quadratic_steepens():
    t, near = 0.2, np.abs(X) < 1
    found = sup_convolution(X**2, GRID, t)
    np.testing.assert_allclose(
        found.values[near], (X**2 / (1 - 2 * t))[near], rtol=0, atol=bound(t)
    )
    np.testing.assert_allclose(found.points[0][near], (X / (1 - 2 * t))[near], atol=H)
    slope = 2 * X / (1 - 2 * t)
    np.testing.assert_allclose(found.gradient[0][near], slope[near], rtol=0, atol=H / t)


def test_upper_envelope_of_a_kink_keeps_its_bottom_above_the_loss():
    # max_y |y| - (x - y)^2 / 2t = |x| + t/2: the narrow valley is lifted, not widened.
    found = sup_convolution(np.abs(X), GRID, 0.3)
    near = np.abs(X) < 3
    np.testing.assert_allclose(found.values[near], (np.abs(X) + 0.15)[near], atol=bound(0.3))


def test_a_loss_without_slopes_stays():
    found = hopf_lax(np.full(30, 2.0), LINE, 1e-9)
    np.testing.assert_array_equal(found.values, np.full(30, 2.0))


def test_a_grid_too_coarse_for_the_time_is_refused():
    with pytest.raises(ArgumentError, match=r"too coarse for t=1e-09: its spacing 0\.005"):
        hopf_lax(X**2, GRID, 1e-9)
