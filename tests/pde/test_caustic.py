import math

import numpy as np
import pytest

from wellposed.pde import Grid, caustic_time, hopf_lax

GRID = Grid.box((-2, 2, 801))
X = GRID.axes[0]


def test_a_hill_has_its_caustic_at_the_inverse_of_its_curvature():
    assert caustic_time(-1.5 * X**2, GRID) == pytest.approx(1 / 3, rel=1e-9)
    # the double well bends most at 0: second derivative 12 x^2 - 4
    assert caustic_time((X**2 - 1) ** 2, GRID) == pytest.approx(1 / 4, rel=1e-4)


@pytest.mark.parametrize("f", [X**2, 3 + 2 * X, np.zeros(801), 1e6 * np.abs(X)])
def test_convex_losses_have_none(f):
    assert caustic_time(f, GRID) == math.inf


def test_two_variables_take_the_smallest_eigenvalue():
    grid = Grid.box((-1, 1, 41), (-1, 1, 31))
    x, y = grid.points
    f = 0.5 * x**2 + 0.5 * y**2 + 3 * x * y  # eigenvalues 1 +- 3
    assert caustic_time(f, grid) == pytest.approx(1 / 2, rel=1e-9)


def test_a_kink_that_points_up_has_a_time_of_the_order_of_the_grid():
    h = GRID.spacing[0]
    assert caustic_time(-np.abs(X), GRID) == pytest.approx(h / 2, rel=1e-9)


def test_the_proximal_point_jumps_after_the_caustic_and_not_before():
    f = (X**2 - 1) ** 2  # symmetric: the jump is at 0
    limit = caustic_time(f, GRID)
    jumps = [np.diff(hopf_lax(f, GRID, share * limit).points[0]).max() for share in (0.9, 1.2)]
    # Before it, neighbors part by h / (1 - t |lambda|) = 10 h, rounded to the grid.
    assert jumps[0] < 40 * GRID.spacing[0]
    assert jumps[1] > 0.7


def test_curvature_along_a_characteristic():
    # lambda / (1 + t lambda), at the top of the double well, where the characteristic stands.
    h, middle = GRID.spacing[0], 400
    found = hopf_lax((X**2 - 1) ** 2, GRID, 0.125).values
    wide = 20
    bend = (found[middle - wide] - 2 * found[middle] + found[middle + wide]) / (wide * h) ** 2
    assert bend == pytest.approx(-4 / (1 - 0.5), rel=0.2)
