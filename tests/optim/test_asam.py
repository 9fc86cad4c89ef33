"""ASAM: the probe's formula, and what it is invariant to."""

import pytest
import torch
from torch import nn

from wellposed.errors import ArgumentError
from wellposed.optim import ASAM


def probe(x, g, rho=0.5):
    p = nn.Parameter(x.clone())
    optimizer = ASAM([p], rho=rho)
    p.grad = g
    optimizer.step()
    return p.detach()


X = torch.tensor([1.0, -2.0, 0.0, 3.0], dtype=torch.float64)
G = torch.tensor([0.5, 1.0, 4.0, -1.0], dtype=torch.float64)


def test_the_probe_is_the_formula():
    expected = X + 0.5 * X**2 * G / (X * G).norm()
    torch.testing.assert_close(probe(X, G), expected)
    assert probe(X, G)[2] == 0


@pytest.mark.parametrize("factor", [0.01, 3.0, 100.0])
def test_rescaling_the_weights_rescales_the_probe(factor):
    torch.testing.assert_close(probe(factor * X, G / factor), factor * probe(X, G))


def test_it_returns_to_the_anchor_for_the_step():
    p = nn.Parameter(X.clone())
    optimizer = ASAM([p], lr=0.1, momentum=0, nesterov=False)
    p.grad = G
    optimizer.step()
    p.grad = 2 * G
    optimizer.step()
    torch.testing.assert_close(p.detach(), X - 0.2 * G)


def test_a_negative_radius_is_refused():
    with pytest.raises(ArgumentError, match="rho=-1 was given"):
        ASAM([nn.Parameter(torch.ones(1))], rho=-1)
