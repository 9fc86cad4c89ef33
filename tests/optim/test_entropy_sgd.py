"""Entropy-SGD: its defaults, its presets, and what it minimizes."""

import inspect

import pytest
import torch
from torch import nn

from wellposed.errors import ArgumentError, UnknownNameError
from wellposed.optim import EntropySGD, Relaxation


def one():
    return [nn.Parameter(torch.ones(2))]


def test_the_defaults_are_those_that_were_measured():
    group = EntropySGD(one()).param_groups[0]
    expected = {
        "inner_steps": 20, "gamma": 1e-4, "gamma_growth": 1e-3, "mean": 0.25, "outer_lr": 1.0,
        "outer_momentum": 0.0, "temperature": 0.0, "reset_momentum": False, "momentum": 0.9,
        "nesterov": True, "integrator": "semi-implicit",
    }  # fmt: skip
    assert {key: group[key] for key in expected} == expected


def test_the_preset_is_the_published_setting():
    group = EntropySGD(one(), preset="paper-mnist").param_groups[0]
    assert (group["lr"], group["gamma"], group["gamma_growth"]) == (0.1, 1e-4, 1e-3)
    assert group["inner_steps"] == 20
    # Published position noise: sqrt(lr) * 1e-3.
    std = (2 * group["lr"] * group["temperature"] / (1 - group["momentum"])) ** 0.5
    assert std == pytest.approx(0.1**0.5 * 1e-3)


def test_explicit_arguments_override_the_preset_also_by_their_defaults():
    group = EntropySGD(one(), 0.05, preset="paper-mnist", temperature=0.0).param_groups[0]
    assert (group["lr"], group["temperature"], group["reset_momentum"]) == (0.05, 0.0, True)


def test_kappa_replaces_the_gamma_of_defaults_and_presets_but_not_the_callers():
    for preset in (None, "paper-cifar"):
        optimizer = EntropySGD(one(), lr=0.1, kappa=2.0, preset=preset)
        assert optimizer.diagnostics()["kappa"] == pytest.approx(2.0)
    with pytest.raises(ArgumentError, match="they say the same"):
        EntropySGD(one(), kappa=1.0, gamma=1.0)


def test_an_unknown_preset_gets_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'paper-mnist'"):
        EntropySGD(one(), preset="paper-minst")


def test_the_signature_shows_the_defaults():
    parameters = inspect.signature(EntropySGD).parameters
    assert parameters["inner_steps"].default == 20
    assert parameters["preset"].default is None


def test_it_is_the_relaxation_with_other_defaults():
    p, q = one(), one()
    first = EntropySGD(p, inner_steps=3)
    second = Relaxation(q, inner_steps=3, gamma=1e-4, gamma_growth=1e-3, mean=0.25)
    for step in range(10):
        p[0].grad = torch.tensor([1.0, step])
        q[0].grad = torch.tensor([1.0, step])
        first.step()
        second.step()
    assert torch.equal(p[0], q[0])


@pytest.mark.parametrize(("x", "gamma"), [(0.9, 1.0), (0.2, 4.0)])
def test_the_anchor_moves_along_the_gradient_of_the_local_entropy(x, gamma):
    # On f = |y| the mean of rho(y) ~ exp(-beta |y| - beta gamma (x - y)^2 / 2) is known by
    # quadrature; the ends of n long independent chains estimate it within 4 standard errors
    # and the bias of the step size, which is at most of its order.
    beta, n, h, steps = 2.0, 20_000, 0.005, 2000
    grid = torch.linspace(-12, 12, 200_001, dtype=torch.float64)
    weight = torch.exp(-beta * grid.abs() - beta * gamma * (x - grid) ** 2 / 2)
    exact = (weight * grid).sum() / weight.sum()
    y = nn.Parameter(torch.full((n,), x, dtype=torch.float64))
    optimizer = EntropySGD(
        [y], lr=h, momentum=0.0, gamma=gamma, gamma_growth=0.0, temperature=1 / beta,
        mean=None, inner_steps=steps,
    )  # fmt: skip
    for _ in range(steps):
        y.grad = y.detach().sign()
        optimizer.step()
    found, error = y.mean(), y.std() / n**0.5
    assert abs(found - exact) < 4 * error + h
