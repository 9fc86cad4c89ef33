"""Backward Euler: the implicit step, its stability, and k-means on digits."""

import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from torch import nn

from wellposed.optim import SGD, BackwardEuler, GroupScheduler, HamiltonJacobi, Linear


def run(optimizer, p, slope, steps):
    for _ in range(steps):
        p.grad = slope(p.detach())
        optimizer.step()


@pytest.mark.parametrize("curvature", [0.5, 4.0])
def test_it_is_the_implicit_step_on_a_quadratic(curvature):
    t = 0.5
    x = nn.Parameter(torch.ones(1, dtype=torch.float64))
    run(BackwardEuler([x], lr=t, inner_steps=80), x, lambda y: curvature * y, 80 * 3)
    assert x.item() == pytest.approx((1 + t * curvature) ** -3, rel=1e-10)


def test_it_is_stable_where_gradient_descent_is_not():
    lam, t = 10.0, 1.0  # gradient descent: |1 - t lam| = 9
    x, y = (nn.Parameter(torch.ones(1, dtype=torch.float64)) for _ in range(2))
    run(BackwardEuler([x], lr=t, inner_steps=40, mean=0.1), x, lambda z: lam * z, 400)
    run(SGD([y], lr=t), y, lambda z: lam * z, 10)
    assert abs(x.item()) < 1e-8
    assert abs(y.item()) > 1e8


def test_it_is_hamilton_jacobi_going_all_the_way():
    t, a = 0.4, 0.25
    x, y = (nn.Parameter(torch.tensor([2.0, -1.0], dtype=torch.float64)) for _ in range(2))
    euler = BackwardEuler([x], lr=t, mean=a, inner_steps=5)
    descent = HamiltonJacobi(
        [y], lr=a * t, gamma=1 / t, inner_steps=5, momentum=0, nesterov=False, integrator="explicit"
    )
    for _ in range(20):
        run(euler, x, torch.sin, 1)
        run(descent, y, torch.sin, 1)
        torch.testing.assert_close(x, y, rtol=1e-13, atol=1e-14)


def quantize(centers, points):
    """The mean of half the squared distances to the nearest center, and its gradient."""
    distances, nearest = torch.cdist(points, centers).min(1)
    slope = torch.zeros_like(centers).index_add_(0, nearest, centers[nearest] - points)
    return distances.square().mean().item() / 2, slope / len(points)


@pytest.mark.simulation
def test_k_means_on_digits():
    """Ends lower than Lloyd's algorithm from the same start, on average over ten starts.

    Lloyd stops in a local minimum; noisy implicit steps leave shallow ones. The energy is that of
    1,797 digits and 10 centers, and the mean gain is 1.5 % with a standard error of 0.5 %.
    """
    points = torch.tensor(load_digits().data, dtype=torch.float32) / 16
    gains = []
    for seed in range(10):
        generator = torch.Generator().manual_seed(seed)
        start = points[torch.randperm(len(points), generator=generator)[:10]]
        centers = nn.Parameter(start.clone())
        optimizer = BackwardEuler([centers], lr=40.0, inner_steps=5, mean=0.2)
        scheduler = GroupScheduler(optimizer, Linear(), 600)
        for _ in range(600):
            batch = torch.randint(len(points), (50,), generator=generator)
            centers.grad = quantize(centers.detach(), points[batch])[1]
            optimizer.step()
            scheduler.step()
        optimizer.finish_cycle()
        energy, _ = quantize(centers.detach(), points)
        lloyd = KMeans(10, init=start.numpy(), n_init=1, max_iter=500).fit(points.numpy())
        gains.append(1 - energy / (lloyd.inertia_ / len(points) / 2))
    gains = torch.tensor(gains)
    assert gains.mean() > 2 * gains.std() / len(gains) ** 0.5
