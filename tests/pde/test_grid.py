import numpy as np
import pytest
from jaxtyping import TypeCheckError

from wellposed.errors import ArgumentError
from wellposed.pde import Grid, cole_hopf, finite_differences, heat, hopf_lax, sup_convolution

REFUSALS = (ArgumentError, TypeCheckError)


def test_a_box_is_a_grid_whose_first_axis_comes_first():
    grid = Grid.box((-2, 2, 5), (0, 1, 3))
    assert grid.shape == (5, 3)
    assert grid.spacing == (1.0, 0.5)
    x, y = grid.points
    np.testing.assert_array_equal(x[:, 0], [-2, -1, 0, 1, 2])
    np.testing.assert_array_equal(y[0], [0, 0.5, 1])


def test_single_precision_leaves_a_grid_uniform_and_its_rounding_is_removed():
    axis = np.linspace(-3, 5, 400, dtype=np.float32)
    found = Grid((axis,)).axes[0]
    assert found.dtype == np.float64
    assert np.ptp(np.diff(found)) < 1e-14


def test_axes_cannot_be_changed_and_the_callers_array_can():
    axis = np.linspace(0.0, 1.0, 3)
    grid = Grid((axis,))
    axis[0] = 7
    assert grid.axes[0][0] == 0
    with pytest.raises(ValueError, match="read-only"):
        grid.axes[0][0] = 7


@pytest.mark.parametrize(
    ("axis", "said"),
    [
        ([0.0, 1.0, 3.0], "equal steps, got steps from 1 to 2"),
        ([2.0, 1.0, 0.0], "got steps from -1 to -1"),
        ([0.0, 0.0, 0.0], "got steps from 0 to 0"),
        ([0.0, 1.0], r"3 to 4096 finite numbers, got shape \(2,\)"),
        ([0.0, np.nan, 2.0], "finite numbers"),
        ([[0.0, 1.0, 2.0]], r"got shape \(1, 3\)"),
        (np.arange(5000.0), r"got shape \(5000,\)"),
    ],
)
def test_an_axis_that_is_none_is_refused(axis, said):
    with pytest.raises(ArgumentError, match=said):
        Grid((np.array(axis),))


def test_a_grid_has_one_or_two_axes():
    axis = np.arange(4.0)
    with pytest.raises(ArgumentError, match="one or two axes, got 3 axes"):
        Grid((axis, axis, axis))
    with pytest.raises(REFUSALS, match=r"got ndarray|Actual value"):
        Grid(axis)


def test_values_that_do_not_fit_or_are_not_finite_are_refused():
    grid = Grid.box((0, 1, 5), (0, 1, 4))
    with pytest.raises(ArgumentError, match=r"shape \(5, 4\) have that shape, got \(4, 5\)"):
        heat(np.zeros((4, 5)), grid, 1.0)
    values = np.zeros((5, 4))
    values[1, 1] = np.nan
    values[2, 2] = np.inf
    with pytest.raises(ArgumentError, match="got 2 of 20 that are not"):
        heat(values, grid, 1.0)


SOLVERS = {
    "heat": heat,
    "hopf_lax": hopf_lax,
    "sup_convolution": sup_convolution,
    "cole_hopf": lambda f, grid, t: cole_hopf(f, grid, t, 1.0),
    "finite_differences": finite_differences,
}


@pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS)
@pytest.mark.parametrize("t", [-0.1, np.nan, np.inf])
def test_time_runs_forwards(solver, t):
    grid = Grid.box((0, 1, 5))
    with pytest.raises(ArgumentError, match="t >= 0, got t="):
        solver(np.zeros(5), grid, t)


@pytest.mark.parametrize("solver", [cole_hopf, finite_differences])
@pytest.mark.parametrize("beta", [0.0, -1.0, np.nan])
def test_the_inverse_temperature_is_positive(solver, beta):
    with pytest.raises(ArgumentError, match="inverse temperature is positive, got beta="):
        solver(np.zeros(5), Grid.box((0, 1, 5)), 0.1, beta)


@pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS)
@pytest.mark.parametrize("sides", [((-1, 1, 21),), ((-1, 1, 21), (0, 2, 31))], ids=["1d", "2d"])
def test_after_no_time_a_loss_is_what_it_was(solver, sides):
    grid = Grid.box(*sides)
    f = (grid.points**2).sum(axis=0)
    found = solver(f, grid, 0.0)
    np.testing.assert_array_equal(found.values, f)
    core = (slice(1, -1),) * f.ndim
    for k in range(f.ndim):
        expected = 2 * grid.points[k][core]
        np.testing.assert_allclose(found.gradient[k][core], expected, atol=1e-12)
    assert found.trusted.all()
    found.values[...] = 0  # a copy
    assert f.max() > 0
