"""Extragradient on the game on which gradient descent goes round in circles."""

import pytest
import torch
from torch import nn

from wellposed.optim import SGD, Extragradient


def play(optimizer, x, y, steps):
    """min over x, max over y of x y: the field is (y, -x)."""
    for _ in range(steps):
        x.grad, y.grad = y.detach().clone(), -x.detach()
        optimizer.step()
    return (x.item() ** 2 + y.item() ** 2) ** 0.5


def players():
    return [nn.Parameter(torch.tensor(v, dtype=torch.float64)) for v in (1.0, 0.0)]


def test_its_rate_on_a_bilinear_game():
    h, updates = 0.3, 40
    x, y = players()
    distance = play(Extragradient([x, y], lr=h), x, y, 2 * updates)
    assert distance == pytest.approx((1 - h**2 + h**4) ** (updates / 2), rel=1e-10)
    x, y = players()
    descent = play(SGD([x, y], lr=h), x, y, updates)
    assert descent == pytest.approx((1 + h**2) ** (updates / 2), rel=1e-10)


def test_the_look_ahead_may_have_its_own_length():
    x = nn.Parameter(torch.tensor([2.0]))
    optimizer = Extragradient([x], lr=0.1, pde_time=0.5)
    x.grad = torch.tensor([1.0])
    optimizer.step()
    assert x.item() == 1.5
    optimizer.step()
    assert x.item() == pytest.approx(1.9)


def test_on_a_quadratic_it_is_the_second_order_step():
    h, lam = 0.2, 3.0
    x = nn.Parameter(torch.ones(1, dtype=torch.float64))
    optimizer = Extragradient([x], lr=h)
    for _ in range(2):
        x.grad = lam * x.detach()
        optimizer.step()
    assert x.item() == pytest.approx(1 - h * lam + (h * lam) ** 2)
