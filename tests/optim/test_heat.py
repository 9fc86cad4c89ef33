"""Heat smoothing against the heat equation's closed forms."""

import math

import pytest
import torch
from torch import nn

from wellposed.optim import SGD, Heat

PLAIN = {"momentum": 0.0, "nesterov": False}


def run(optimizer, p, slope, steps):
    for _ in range(steps):
        p.grad = slope(p.detach())
        optimizer.step()


def mean_slope(slope, x, spread, **arguments):
    """The mean over 200,000 equal weights of the gradient that Heat finds, and its error."""
    p = nn.Parameter(torch.full((200_000,), x, dtype=torch.float64))
    optimizer = Heat([p], lr=1.0, spread=spread, **PLAIN, **arguments)
    run(optimizer, p, torch.zeros_like, 1)  # the first step has no noise yet
    run(optimizer, p, slope, optimizer.param_groups[0]["inner_steps"])
    optimizer.eval()
    found = x - p.detach()
    return found.mean().item(), found.std().item() / math.sqrt(p.numel())


@pytest.mark.parametrize("antithetic", [True, False])
@pytest.mark.parametrize("inner_steps", [2, 6])
def test_the_fourth_power(antithetic, inner_steps):
    x, t = 0.8, 0.3  # v = x^4 + 6 t x^2 + 3 t^2
    found, error = mean_slope(
        lambda y: 4 * y**3, x, t**0.5, antithetic=antithetic, inner_steps=inner_steps
    )
    assert error < 0.02
    assert abs(found - (4 * x**3 + 12 * t * x)) < 4 * error


def test_the_cosine():
    x, t, k = 0.4, 0.5, 2.0  # v = exp(-k^2 t / 2) cos k x
    found, error = mean_slope(lambda y: -k * (k * y).sin(), x, t**0.5)
    assert abs(found + k * math.exp(-(k**2) * t / 2) * math.sin(k * x)) < 4 * error


def test_pairs_are_exact_on_a_quadratic():
    a = torch.tensor([[3.0, 1.0], [1.0, -2.0]], dtype=torch.float64)
    p, q = (nn.Parameter(torch.tensor([1.0, -1.0], dtype=torch.float64)) for _ in range(2))
    heat = Heat([p], lr=0.05, spread=10.0, **PLAIN)
    run(heat, p, lambda y: a @ y, 1 + 2 * 20)
    run(SGD([q], lr=0.05), q, lambda y: a @ y, 1 + 20)
    assert not torch.allclose(p, q, atol=1.0)  # a probe
    heat.eval()
    torch.testing.assert_close(p, q, rtol=1e-12, atol=1e-12)


def test_a_pair_is_mirrored_at_the_anchor():
    p = nn.Parameter(torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64))
    optimizer = Heat([p], lr=0.1, spread=0.5)
    run(optimizer, p, torch.zeros_like, 1)
    plus = p.detach().clone()
    run(optimizer, p, torch.zeros_like, 1)
    minus = p.detach().clone()
    assert not torch.equal(plus, minus)
    torch.testing.assert_close((plus + minus) / 2, torch.tensor([1.0, 2.0, 3.0]).double())
    run(optimizer, p, torch.zeros_like, 1)
    assert not torch.equal(p, plus)  # a new pair
    optimizer.eval()
    assert p.tolist() == [1.0, 2.0, 3.0]


def test_without_spread_it_is_sgd_on_mean_gradients_bitwise():
    p, q = nn.Parameter(torch.tensor([1.0, -0.3])), nn.Parameter(torch.tensor([1.0, -0.3]))
    ours = Heat([p], lr=0.1, spread=0.0)
    theirs = SGD([q], lr=0.1, momentum=0.9, nesterov=True, fused=True)
    run(ours, p, torch.sin, 20)
    run(theirs, q, torch.sin, 10)
    assert torch.equal(p, q)


def test_the_first_step_is_the_bases():
    p, q = nn.Parameter(torch.tensor([1.0])), nn.Parameter(torch.tensor([1.0]))
    ours = Heat([p], lr=0.1, spread=0.2)
    theirs = SGD([q], lr=0.1, momentum=0.9, nesterov=True, fused=True)
    run(ours, p, torch.sin, 1)
    run(theirs, q, torch.sin, 1)
    assert ours.phase == (0, 1)
    assert not torch.equal(p, q)
    with ours.at_anchor():
        assert torch.equal(p, q)
    ours.finish_cycle()
    assert torch.equal(p, q)
    run(ours, p, torch.sin, 1)
    run(theirs, q, torch.sin, 1)
    ours.eval()
    assert torch.equal(p, q)  # and so is the first after finish_cycle


def test_the_noise_is_that_of_the_seed():
    found = []
    for seed in (1, 1, 2):
        p = nn.Parameter(torch.tensor([1.0]))
        optimizer = Heat([p], lr=0.1, spread=0.2, noise_seed=seed)
        run(optimizer, p, torch.sin, 3)
        found.append(p.item())
    assert found[0] == found[1] != found[2]


@pytest.mark.simulation
def test_it_passes_over_a_barrier_that_stops_gradient_descent():
    def slope(y):  # of y^2 / 2 + 0.3 cos(12 y): many local minima, one well
        return y - 3.6 * (12 * y).sin()

    start = torch.full((64,), 2.0)
    p, q = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    heat = Heat([p], lr=0.05, spread=0.25, inner_steps=16, **PLAIN)
    run(heat, p, slope, 1 + 16 * 200)
    heat.eval()
    run(SGD([q], lr=0.05 / 4), q, slope, 3200)
    assert q.min() > 1.5
    assert p.detach().abs().max() < 0.9
