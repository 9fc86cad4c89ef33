import numpy as np
import pytest
from scipy.stats import norm

from wellposed.pde import Grid, cole_hopf, heat, hopf_lax, lasry_lions, sup_convolution
from wellposed.pde._relaxed import edge_distance, gap_distance, little_mass_beyond, within_reach

GRID = Grid.box((-3, 3, 601))
SOLVERS = {
    "heat": lambda f, grid: heat(f, grid, 0.05),
    "cole_hopf": lambda f, grid: cole_hopf(f, grid, 0.2, 8.0),
    "hopf_lax": lambda f, grid: hopf_lax(f, grid, 0.2),
    "lasry_lions": lambda f, grid: lasry_lions(f, grid, 0.2, 0.1),
    "sup_convolution": lambda f, grid: sup_convolution(f, grid, 0.2),
}


def bumpy(x):
    return np.sin(3 * x) + 0.2 * x**2


def beyond(name):
    """Continuations of the loss that are allowed: above its minimum, or below its maximum."""
    x = GRID.axes[0]
    low, high = bumpy(x).min(), bumpy(x).max()
    if name in {"sup_convolution", "lasry_lions"}:  # the lower envelope keeps to [low, high]
        return [low, high]
    return [low, low + 100]


@pytest.mark.simulation
@pytest.mark.parametrize("name", SOLVERS)
def test_where_a_value_is_trusted_the_loss_beyond_the_edges_does_not_matter(name):
    wide = Grid.box((-6, 6, 1201))
    inner = np.abs(wide.axes[0]) <= 3 + 1e-9
    found = SOLVERS[name](bumpy(GRID.axes[0]), GRID)
    assert 0.2 < found.trusted.mean() < 0.95
    for level in beyond(name):
        f = np.where(inner, bumpy(wide.axes[0]), level)
        other = SOLVERS[name](f, wide).values[inner]
        worst = np.abs(other - found.values)[found.trusted].max()
        assert worst < 3e-6
        # and the mark is no idle caution: elsewhere, one of them differs
    differs = [
        np.abs(
            SOLVERS[name](np.where(inner, bumpy(wide.axes[0]), level), wide).values[inner]
            - found.values
        ).max()
        for level in beyond(name)
    ]
    assert max(differs) > 0.01


def test_distance_to_the_nearest_edge():
    grid = Grid.box((0, 4, 5), (0, 2, 3))
    np.testing.assert_array_equal(edge_distance(grid)[:, 1], [0, 1, 1, 1, 0])


def test_distance_to_a_gap_is_a_bound_from_below():
    grid = Grid.box((0, 4, 5))
    trusted = np.array([True, True, False, True, True])
    np.testing.assert_array_equal(gap_distance(trusted, grid), [0, 0, 0, 0, 0])
    np.testing.assert_array_equal(gap_distance(np.ones(5, bool), grid), edge_distance(grid))


def test_reach():
    gain = np.array([0.4, 0.6, -1.0])
    np.testing.assert_array_equal(within_reach(np.ones(3), 1.0, gain), [True, False, True])
    assert within_reach(np.zeros(3), 0.0, gain).all()


def test_mass_beyond_the_edges_is_that_of_the_normal_distribution():
    grid = Grid.box((0, 20, 2001))
    trusted = little_mass_beyond(grid, 1.0)
    x = grid.axes[0]
    mass = norm.cdf(-x) + norm.sf(20 - x)
    np.testing.assert_array_equal(trusted, mass <= 1e-8)
    assert little_mass_beyond(grid, 1.0, 1.0).sum() < trusted.sum()
    assert little_mass_beyond(grid, 0.0).all()
