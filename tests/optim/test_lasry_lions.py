"""Lasry-Lions against its closed forms, and against the solver on a grid."""

import numpy as np
import pytest
import torch
from torch import nn

from wellposed import pde
from wellposed.errors import ArgumentError
from wellposed.optim import HamiltonJacobi, LasryLions

T, R = 0.5, 0.4
S = R * T


def slopes(slope, xs, blocks=60, per_block=200, **arguments):
    """The gradient of the relaxed loss at each x, from one long cycle without momentum."""
    p = nn.Parameter(torch.tensor(xs, dtype=torch.float64))
    optimizer = LasryLions(
        [p], lr=0.05, momentum=0, nesterov=False, gamma=1 / T, reverse=R, block=per_block,
        inner_steps=blocks * per_block, **arguments,
    )  # fmt: skip
    for _ in range(blocks * per_block):
        p.grad = slope(p.detach())
        optimizer.step()
    assert optimizer.phase == (0, 1)
    return ((torch.tensor(xs, dtype=torch.float64) - p.detach()) / (T - S)).numpy()


@pytest.mark.simulation
@pytest.mark.parametrize("curvature", [-1.0, 0.5, 6.0])
def test_on_a_quadratic_it_is_hamilton_jacobi_for_the_difference_of_the_times(curvature):
    xs = [-1.0, 0.3, 2.0]
    found = slopes(lambda y: curvature * y, xs, blocks=50, per_block=400)
    expected = curvature / (1 + (T - S) * curvature) * np.array(xs)
    np.testing.assert_allclose(found, expected, rtol=1e-7)


@pytest.mark.simulation
def test_a_concave_kink_is_rounded_where_hamilton_jacobi_keeps_it():
    """-|x| becomes -x^2 / 2s for |x| < s, and -|x| + (s - t) / 2 beyond."""
    xs = [-0.4, -0.15, -0.05, 0.05, 0.1, 0.3]
    found = slopes(lambda y: -y.sign(), xs, blocks=300, per_block=120, mean=0.02)
    np.testing.assert_allclose(found, [1, 0.75, 0.25, -0.25, -0.5, -1], atol=0.06)
    kept = nn.Parameter(torch.tensor(xs, dtype=torch.float64))
    optimizer = HamiltonJacobi([kept], lr=0.02, momentum=0, gamma=1 / T, inner_steps=500)
    for _ in range(500):
        kept.grad = -kept.detach().sign()
        optimizer.step()
    step = (torch.tensor(xs).double() - kept.detach()) / T
    np.testing.assert_allclose(step, [1, 1, 1, -1, -1, -1], atol=1e-6)


@pytest.mark.simulation
def test_it_agrees_with_the_solver_on_a_grid():
    """f = x^2 (x^2 - 1) / 4 + 0.1 x, of curvature above -1/2: the valley found is the deepest."""
    grid = np.linspace(-3, 3, 4001)
    loss = grid**2 * (grid**2 - 1) / 4 + 0.1 * grid
    values = pde.lasry_lions(loss, pde.Grid((grid,)), t=T, s=S).values
    xs = [-1.2, -0.3, 0.1, 0.9]
    found = slopes(lambda y: y**3 - y / 2 + 0.1, xs, blocks=50, per_block=400)
    np.testing.assert_allclose(found, np.interp(xs, grid, np.gradient(values, grid)), atol=2e-3)


def test_blocks_must_fill_the_cycle():
    p = nn.Parameter(torch.ones(1))
    with pytest.raises(ArgumentError, match=r"block=3 was given; it is a divisor of"):
        LasryLions([p], block=3)
    with pytest.raises(ArgumentError, match=r"reverse=1.0 was given; it is s/t"):
        LasryLions([p], reverse=1.0)


@pytest.mark.wrong_types
def test_the_damping_is_a_number():
    p = nn.Parameter(torch.ones(1))
    with pytest.raises(ArgumentError, match=r"mean='uniform' was given with reverse=0.5"):
        LasryLions([p], mean="uniform")
