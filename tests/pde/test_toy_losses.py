import numpy as np
import pytest

from wellposed.errors import ArgumentError
from wellposed.pde import (
    TOY_LOSSES,
    Grid,
    ToyLoss,
    caustic_time,
    cole_hopf,
    heat,
    hopf_lax,
    sup_convolution,
)


@pytest.mark.parametrize("name", TOY_LOSSES)
def test_the_box_is_where_something_happens(name):
    toy = TOY_LOSSES[name]
    assert toy.name == name
    grid = toy.grid(201, margin=0.25)
    values = toy.values(grid)
    assert values.shape == grid.shape == (301,) * len(toy.box)
    assert tuple(toy.grid(201).axes[0][[0, -1]]) == toy.box[0]
    place = np.unravel_index(values.argmin(), values.shape)
    assert all(50 < k < 250 for k in place)
    # its times lie on both sides of the first caustic
    assert min(toy.times) < caustic_time(values, grid) < max(toy.times)


def test_the_sharp_valley_is_deepest_until_the_loss_is_relaxed():
    toy = TOY_LOSSES["two-valleys"]
    t, axis = toy.times[-1], toy.grid(61).axes[0]

    def side(solver):
        values = toy.relaxed(solver, 61)
        return axis[np.unravel_index(values.argmin(), values.shape)[0]]

    assert side(lambda f, grid: hopf_lax(f, grid, t)) < -0.8  # minima stay
    assert side(lambda f, grid: heat(f, grid, t)) > 0.5
    assert side(lambda f, grid: cole_hopf(f, grid, t, toy.beta)) > 0.5
    assert side(lambda f, grid: sup_convolution(f, grid, t)) > 0.5


def quadratic(curvature):
    return ToyLoss("bowl", "Bowl", lambda x: curvature * x**2 / 2, ((-1.0, 1.0),), (0.1,), 1.0)


@pytest.mark.simulation
def test_what_is_relaxed_in_the_box_is_relaxed_on_the_whole_line():
    toy, t = quadratic(1.0), 0.64
    x = toy.grid(201).axes[0]
    found = toy.relaxed(lambda f, grid: heat(f, grid, t), 201)
    np.testing.assert_allclose(found, x**2 / 2 + t / 2, atol=1e-6)
    found = toy.relaxed(lambda f, grid: sup_convolution(f, grid, t), 201)
    np.testing.assert_allclose(found, x**2 / 2 / (1 - t), atol=1e-4)


def test_a_time_for_which_there_is_no_relaxation_is_refused():
    toy = quadratic(1.0)  # max_y y^2/2 - (x - y)^2/2t is infinite from t = 1 on
    with pytest.raises(ArgumentError, match="bowl cannot be relaxed for so long"):
        toy.relaxed(lambda f, grid: sup_convolution(f, grid, 1.01), 201)
    wide = TOY_LOSSES["two-valleys"]
    with pytest.raises(ArgumentError, match="or fewer points"):
        wide.relaxed(lambda f, grid: hopf_lax(f, grid, 0.1), 700)


def test_a_picture_of_few_points_is_refused():
    with pytest.raises(ArgumentError, match="at least 9 points along each axis, got points=-4"):
        quadratic(1.0).grid(-4)
    assert isinstance(quadratic(1.0).grid(9), Grid)
