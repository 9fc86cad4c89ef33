import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from wellposed.errors import ArgumentError
from wellposed.pde import Grid, cole_hopf, finite_differences, heat, hopf_lax


def double_well(grid):
    x = grid.points[0]
    return (x**2 - 1) ** 2 + 0.3 * x


@pytest.mark.parametrize("beta", [4.0, math.inf])
def test_the_solutions_by_formula_are_met_with_order_one(beta):
    # Before and after the caustic, which the double well has at t = 1/4: both times beyond it.
    errors = []
    for n in (101, 201, 401):
        grid = Grid.box((-2, 2, n))
        f = double_well(grid)
        exact = hopf_lax(f, grid, 0.3) if beta == math.inf else cole_hopf(f, grid, 0.3, beta)
        errors.append(np.abs(finite_differences(f, grid, 0.3, beta).values - exact.values).max())
    orders = np.log2(np.divide(errors[:-1], errors[1:]))
    np.testing.assert_allclose(orders, 1, atol=0.12)
    assert errors[-1] < 0.03


@pytest.mark.parametrize("beta", [5.0, math.inf])
def test_two_variables(beta):
    errors = []
    for n in (31, 61):
        grid = Grid.box((-1.5, 1.5, n), (-1, 1, n))
        x, y = grid.points
        f = (x**2 - 1) ** 2 + 0.3 * x + y**2 * (1 + 0.5 * x)
        exact = hopf_lax(f, grid, 0.15) if beta == math.inf else cole_hopf(f, grid, 0.15, beta)
        errors.append(np.abs(finite_differences(f, grid, 0.15, beta).values - exact.values).max())
    assert errors[1] < 0.07
    assert math.log2(errors[0] / errors[1]) == pytest.approx(1, abs=0.2)


def test_hot_and_flat_it_is_heat():
    # With beta -> 0 at fixed t / beta the slopes do not count, and central differences remain.
    grid, tau, beta = Grid.box((0, 1, 81)), 0.02, 1e-4
    f = np.cos(np.pi * grid.axes[0])
    found = finite_differences(f, grid, tau * beta, beta).values
    np.testing.assert_allclose(found, heat(f, grid, tau).values, rtol=0, atol=1e-3)


def test_a_slope_travels_unchanged():
    # u = c x - c^2 t / 2 away from the mirrors, exactly.
    grid = Grid.box((-4, 4, 161))
    x = grid.axes[0]
    found = finite_differences(0.5 * x, grid, 1.0)
    near = np.abs(x) < 2
    np.testing.assert_allclose(found.values[near], (0.5 * x - 0.125)[near], atol=1e-12)
    np.testing.assert_allclose(found.gradient[0][near], 0.5, atol=1e-12)


losses = arrays(np.float64, 12, elements=st.floats(-3, 3))


@given(f=losses, raised=arrays(np.float64, 12, elements=st.floats(0, 1)), beta=st.floats(1, 9))
def test_the_scheme_is_monotone(f, raised, beta):
    # Of two losses, both with the step that suits the steeper, the lower one stays lower.
    grid = Grid.box((0, 1.1, 12))
    steepest = max(np.abs(np.diff(g)).max() for g in (f, f + raised)) / 0.1
    t = 0.9 / (steepest / 0.1 + 1 / (beta * 0.01))
    low, high = (finite_differences(g, grid, t, beta, safety=1.0) for g in (f, f + raised))
    assert (low.values <= high.values + 1e-12).all()
    assert f.min() - 1e-12 <= low.values.min()
    assert low.values.max() <= f.max() + 1e-12


def test_too_many_steps_are_refused_before_the_first():
    grid = Grid.box((0, 1, 2001))
    with pytest.raises(ArgumentError, match=r"takes \d+ steps, and at most 200000 are taken"):
        finite_differences(grid.axes[0], grid, 1.0, 1e-3)


@pytest.mark.parametrize("safety", [0.0, 1.1, math.nan])
def test_safety_is_a_fraction(safety):
    with pytest.raises(ArgumentError, match="safety is in"):
        finite_differences(np.zeros(5), Grid.box((0, 1, 5)), 1.0, safety=safety)
