import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from wellposed.pde import Grid, heat

WIDE = Grid.box((-8, 8, 801))
X = WIDE.axes[0]


@pytest.mark.parametrize("t", [0.01, 0.1, 0.5])
def test_fourth_power(t):
    # E (x + sqrt(t) xi)^4 = x^4 + 6 t x^2 + 3 t^2.
    found = heat(X**4, WIDE, t)
    near = np.abs(X) < 2
    assert found.trusted[near].all()
    expected = X**4 + 6 * t * X**2 + 3 * t**2
    np.testing.assert_allclose(found.values[near], expected[near], rtol=0, atol=1e-8)
    slope = 4 * X**3 + 12 * t * X
    np.testing.assert_allclose(found.gradient[0][near], slope[near], rtol=0, atol=1e-7)


@pytest.mark.parametrize("k", [1.0, 4.0])
def test_waves_decay(k):
    found = heat(np.cos(k * X), WIDE, 0.2)
    near = found.trusted
    expected = np.exp(-(k**2) * 0.1) * np.cos(k * X)
    np.testing.assert_allclose(found.values[near], expected[near], rtol=0, atol=1e-7)


def test_quadratic_in_two_variables_rises_by_half_the_trace():
    grid = Grid.box((-5, 5, 101), (-6, 6, 181))
    x, y = grid.points
    f = x**2 + 0.5 * y**2 + 0.7 * x * y
    found = heat(f, grid, 0.16)
    near = found.trusted
    assert near.mean() > 0.2
    np.testing.assert_allclose(found.values[near], (f + 0.16 / 2 * 3)[near], rtol=0, atol=1e-6)
    gradient = np.stack([2 * x + 0.7 * y, y + 0.7 * x])
    np.testing.assert_allclose(found.gradient[:, near], gradient[:, near], rtol=0, atol=1e-5)


def test_mirrors_keep_the_heat_in():
    # cos(pi x) on [0, 1] is its own mirror image: exact up to the edges, however long it takes.
    grid = Grid.box((0, 1, 65))
    f = np.cos(np.pi * grid.axes[0])
    for t in (0.01, 0.3, 5.0):
        expected = np.exp(-(np.pi**2) * t / 2) * f
        np.testing.assert_allclose(heat(f, grid, t).values, expected, rtol=0, atol=1e-8)


losses = arrays(np.float64, 30, elements=st.floats(-10, 10))


@given(f=losses, s=st.floats(2.25, 20.0), t=st.floats(2.25, 20.0))
def test_heating_twice_is_heating_once_for_both_times(f, s, t):
    grid = Grid.box((0, 29, 30))
    # The waves that the grid can just hold alias by 2 exp(-2.25 pi^2), 5e-10 of them.
    twice = heat(heat(f, grid, s).values, grid, t).values
    np.testing.assert_allclose(twice, heat(f, grid, s + t).values, atol=1e-7)


@given(f=losses, g=losses, t=st.floats(1.0, 20.0))
def test_order_and_extremes_are_kept(f, g, t):
    grid = Grid.box((0, 29, 30))
    low, high = (heat(pick(f, g), grid, t).values for pick in (np.minimum, np.maximum))
    assert (low <= high + 1e-12).all()
    assert f.min() - 1e-12 <= heat(f, grid, t).values.min()
    assert heat(f, grid, t).values.max() <= f.max() + 1e-12
