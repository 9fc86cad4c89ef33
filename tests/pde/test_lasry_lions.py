import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from wellposed.errors import ArgumentError
from wellposed.pde import Grid, hopf_lax, lasry_lions

GRID = Grid.box((-4, 4, 1601))
X = GRID.axes[0]
H = GRID.spacing[0]


def test_quadratic():
    # Inf-convolution gives A/(1+tA), sup-convolution for s then A/(1+(t-s)A).
    t, s, curvature = 0.5, 0.2, 2.0
    found = lasry_lions(curvature * X**2 / 2, GRID, t, s)
    near = np.abs(X) < 1
    expected = curvature * X**2 / (2 * (1 + (t - s) * curvature))
    np.testing.assert_allclose(found.values[near], expected[near], rtol=0, atol=H**2 / s)
    slope = curvature * X / (1 + (t - s) * curvature)
    np.testing.assert_allclose(found.gradient[0][near], slope[near], rtol=0, atol=2 * H / s)


def test_curvature_is_bounded_on_both_sides():
    t, s = 0.3, 0.1
    f = -np.abs(X) + 0.5 * np.abs(X - 1) + X**2 / 4  # kinks that point up and down
    found = lasry_lions(f, GRID, t, s).values
    wide = 16  # second differences over 16 points: the grid's steps do not count
    bend = (found[2 * wide :] - 2 * found[wide:-wide] + found[: -2 * wide]) / (wide * H) ** 2
    slack = 4 * H**2 * (1 / t + 1 / s) / (wide * H) ** 2
    assert bend.min() >= -1 / s - slack
    assert bend.max() <= 1 / (t - s) + slack
    assert bend.min() < -0.8 / s  # the kink that points up became that parabola
    lower = hopf_lax(f, GRID, t).values
    sharp = (lower[2 * wide :] - 2 * lower[wide:-wide] + lower[: -2 * wide]) / (wide * H) ** 2
    assert sharp.min() < -1 / s - slack  # which the lower envelope alone is not


def test_without_a_second_envelope_it_is_the_first():
    f = np.sin(3 * X)
    one, other = lasry_lions(f, GRID, 0.3, 0.0), hopf_lax(f, GRID, 0.3)
    np.testing.assert_array_equal(one.values, other.values)
    np.testing.assert_array_equal(lasry_lions(f, GRID, 0.0, 0.0).values, f)


losses = arrays(np.float64, 30, elements=st.floats(-10, 10))


@given(f=losses, t=st.floats(2.0, 30.0), part=st.floats(0.2, 0.8))
def test_it_lies_between_two_lower_envelopes_and_keeps_the_minimum(f, t, part):
    grid, s = Grid.box((0, 29, 30)), part * t
    assume(np.abs(np.diff(f)).max() >= 0.5 / min(s, t - s))
    low, high = hopf_lax(f, grid, t).values, hopf_lax(f, grid, t - s).values
    assume(np.abs(np.diff(low)).max() >= 0.5 / s)
    found = lasry_lions(f, grid, t, s).values
    assert (found >= low).all()
    assert (found <= high + 1e-9).all()
    assert found.min() == pytest.approx(f.min(), abs=1e-9)


def test_the_second_time_is_the_shorter_one():
    with pytest.raises(ArgumentError, match=r"shorter time, got s=0.3 and t=0.2; try s=0.1"):
        lasry_lions(X**2, GRID, 0.2, 0.3)
    with pytest.raises(ArgumentError, match="t >= 0, got t=-1"):
        lasry_lions(X**2, GRID, 1.0, -1.0)
