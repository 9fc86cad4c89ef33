"""Hamilton-Jacobi by descent: the proximal point, its limits and presets."""

import pytest
import torch
from torch import nn

from wellposed.errors import ArgumentError, UnknownNameError
from wellposed.optim import SGD, HamiltonJacobi


def run(optimizer, p, slope, steps):
    for _ in range(steps):
        p.grad = slope(p.detach())
        optimizer.step()


@pytest.mark.simulation
@pytest.mark.parametrize("integrator", ["semi-implicit", "explicit"])
@pytest.mark.parametrize("curvature", [-1.5, 0.5, 8.0])
def test_a_cycle_ends_at_the_proximal_point(integrator, curvature):
    t, c = 0.5, -0.7  # well posed above -1 / t = -2
    x = nn.Parameter(torch.tensor([2.0], dtype=torch.float64))
    optimizer = HamiltonJacobi(
        [x], lr=0.05, gamma=1 / t, inner_steps=800, momentum=0.5, integrator=integrator
    )
    run(optimizer, x, lambda y: curvature * (y - c), 800)
    assert x.item() == pytest.approx((2.0 + t * curvature * c) / (1 + t * curvature), abs=1e-9)


@pytest.mark.simulation
def test_past_the_caustic_there_is_no_proximal_point():
    x = nn.Parameter(torch.ones(1, dtype=torch.float64))
    optimizer = HamiltonJacobi([x], lr=0.05, gamma=2.0, inner_steps=800, momentum=0.0)
    run(optimizer, x, lambda y: -2.1 * y, 800)
    assert x.abs().item() > 10  # the pull 2 does not hold a curvature of -2.1


@pytest.mark.simulation
def test_the_outer_step_is_gradient_descent_on_the_envelope():
    t, lam, eta = 0.5, 3.0, 0.3
    x = nn.Parameter(torch.ones(1, dtype=torch.float64))
    run(HamiltonJacobi([x], lr=0.1, gamma=1 / t, inner_steps=200, outer_lr=eta), x,
        lambda y: lam * y, 200 * 5)  # fmt: skip
    slope = lam / (1 + t * lam)  # of u at 1
    assert x.item() == pytest.approx((1 - eta * t * slope) ** 5, rel=1e-8)


def test_without_pull_it_is_sgd_bitwise():
    x, y = (nn.Parameter(torch.tensor([1.0, -0.3])) for _ in range(2))
    run(HamiltonJacobi([x], lr=0.1, gamma=0.0, weight_decay=0.01), x, torch.sin, 50)
    theirs = SGD([y], lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01, fused=True)
    run(theirs, y, torch.sin, 50)
    assert torch.equal(x, y)


def test_minimizers_stay():
    x = nn.Parameter(torch.tensor([0.5], dtype=torch.float64))
    run(HamiltonJacobi([x], gamma=5.0), x, lambda y: (y - 0.5) ** 3, 100)
    assert x.item() == 0.5


def test_presets_and_kappa():
    p = nn.Parameter(torch.ones(1))
    group = HamiltonJacobi([p], preset="hj", inner_steps=7).param_groups[0]
    assert (group["lr"], group["gamma"], group["inner_steps"]) == (0.25, 1e-4, 7)
    assert HamiltonJacobi([p], kappa=1.0).diagnostics()["kappa"] == pytest.approx(1.0)
    with pytest.raises(UnknownNameError, match="no preset is called 'viscous'; known are hj"):
        HamiltonJacobi([p], preset="viscous")
    with pytest.raises(ArgumentError, match="choose one"):
        HamiltonJacobi([p], kappa=1.0, gamma=1.0)
