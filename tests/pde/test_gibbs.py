import numpy as np
import pytest
from scipy.integrate import quad

from wellposed.errors import ArgumentError
from wellposed.pde import Grid, gibbs


def test_moments_of_a_quadratic_in_two_variables():
    # rho is normal with mean (I + tA)^-1 x and covariance (beta A + beta I / t)^-1.
    grid = Grid.box((-3, 3, 91), (-3, 3, 121))
    matrix, t, beta = np.array([[2.0, 0.6], [0.6, 1.0]]), 0.3, 5.0
    f = 0.5 * np.einsum("i...,ij,j...->...", grid.points, matrix, grid.points)
    found = gibbs(f, grid, t, beta)
    near = (np.abs(grid.points) < 1).all(axis=0)
    inverse = np.linalg.inv(np.eye(2) + t * matrix)
    mean = np.einsum("ij,j...->i...", inverse, grid.points)
    np.testing.assert_allclose(found.mean[:, near], mean[:, near], rtol=0, atol=1e-9)
    variance = np.diag(np.linalg.inv(beta * matrix + beta / t * np.eye(2)))
    np.testing.assert_allclose(
        found.variance[:, near], np.broadcast_to(variance[:, None], (2, near.sum())), atol=1e-9
    )


def test_moments_of_a_double_well_are_those_of_adaptive_quadrature():
    grid, t, beta = Grid.box((-3, 3, 601)), 0.4, 6.0
    f = (grid.axes[0] ** 2 - 1) ** 2 + 0.3 * grid.axes[0]
    found = gibbs(f, grid, t, beta)
    for i in (250, 300, 370):
        x = grid.axes[0][i]

        def weight(y, power, x=x):
            return y**power * np.exp(
                -beta * ((y**2 - 1) ** 2 + 0.3 * y) - beta * (x - y) ** 2 / (2 * t)
            )

        mass, first, second = (quad(weight, -3, 3, (p,), epsabs=1e-13)[0] for p in (0, 1, 2))
        log_mean = np.log(mass / np.sqrt(2 * np.pi * t / beta))
        assert found.log_mean[i] == pytest.approx(log_mean, abs=1e-9)
        assert found.mean[0, i] == pytest.approx(first / mass, abs=1e-9)
        variance = second / mass - (first / mass) ** 2
        assert found.variance[0, i] == pytest.approx(variance, abs=1e-9)


def test_huge_losses_do_not_overflow():
    grid = Grid.box((-1, 1, 201))
    found = gibbs(1e6 + 1e5 * grid.axes[0] ** 2, grid, 1.0, 50.0)
    assert np.isfinite(found.log_mean).all()
    near = np.abs(grid.axes[0]) < 0.8  # where mirror images do not count
    assert np.abs(found.mean[0][near]).max() < 0.002  # all at the bottom


def test_at_time_zero_there_is_no_density():
    with pytest.raises(ArgumentError, match="point mass at x; take t > 0"):
        gibbs(np.zeros(5), Grid.box((0, 1, 5)), 0.0, 1.0)
