import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellposed.errors import ArgumentError
from wellposed.pde import Grid, gibbs, heat
from wellposed.pde._kernel import gaussian


@given(n=st.integers(3, 40), ratio=st.floats(1.0, 200.0))
def test_rows_are_distributions_and_the_kernel_is_symmetric_but_for_the_edges(n, ratio):
    axis = np.linspace(-1, 1, n)
    weights = np.exp(gaussian(axis, ratio * (axis[1] - axis[0])).log_weights)
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-13)
    count = np.full(n, 2.0)
    count[[0, -1]] = 1  # an edge is its own image
    flow = weights * count[:, None]
    np.testing.assert_allclose(flow, flow.T, atol=1e-13)  # detailed balance: what flows, flows back


def test_weights_are_those_of_all_mirror_images():
    axis, deviation = np.linspace(0, 1, 11), 0.7
    places = np.concatenate(
        [sign * axis + 2 * k for k in range(-20, 21) for sign in (1, -1)]
    )  # every edge twice
    origin = np.concatenate([np.arange(11)] * 82)
    once = np.where(np.isin(origin, [0, 10]), 0.5, 1.0)
    for i in (0, 3, 10):
        terms = once * np.exp(-0.5 * ((places - axis[i]) / deviation) ** 2)
        total = np.bincount(origin, terms)
        kernel = gaussian(axis, deviation)
        np.testing.assert_allclose(np.exp(kernel.log_weights[i]), total / total.sum(), rtol=1e-12)
        mean = np.bincount(origin, terms * (places - axis[i])) / total
        np.testing.assert_allclose(kernel.means[i], mean, atol=1e-12)
        square = np.bincount(origin, terms * (places - axis[i]) ** 2) / total
        np.testing.assert_allclose(kernel.squares[i], square, atol=1e-12)


def test_a_very_wide_density_is_flat_and_keeps_its_moments():
    axis = np.linspace(-1, 1, 21)
    count = np.full(21, 2.0)
    count[[0, -1]] = 1
    for deviation in (7.9, 8.1, 1e6):  # the axis is 2 long
        kernel = gaussian(axis, deviation)
        weights = np.exp(kernel.log_weights)
        np.testing.assert_allclose(weights, np.tile(count / 40, (21, 1)), rtol=1e-10)
        np.testing.assert_allclose(kernel.means, 0, atol=1e-10)
        np.testing.assert_allclose((weights * kernel.squares).sum(axis=1), deviation**2, rtol=1e-9)


def test_far_away_weights_are_small_and_not_lost():
    kernel = gaussian(np.linspace(0, 1, 101), 0.01)
    assert kernel.log_weights[0, -1] == pytest.approx(-5000, rel=1e-3)  # exp of it is 0


def test_a_grid_too_coarse_for_the_time_is_refused():
    grid = Grid.box((0, 1, 11))
    with pytest.raises(ArgumentError, match=r"spacing 0.1 is above sqrt\(t\)=0.05; take 2 times"):
        heat(np.zeros(11), grid, 0.0025)
    with pytest.raises(ArgumentError, match=r"above sqrt\(t/beta\)=0.05"):
        gibbs(np.zeros(11), grid, 0.25, 100.0)
