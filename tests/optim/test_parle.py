"""Parle: Entropy-SGD with one replica, the authors' iteration with several."""

import copy

import pytest
import torch
from torch import nn

from wellposed.errors import UnknownNameError
from wellposed.optim import EntropySGD, Parle


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))


def train(models, optimizer, steps, streams):
    """Steps on random data; each replica draws from its stream."""
    generators = [torch.Generator().manual_seed(s) for s in streams]
    for _ in range(steps):
        optimizer.zero_grad()
        for model, generator in zip(models, generators, strict=True):
            x = torch.randn(16, 4, generator=generator)
            nn.functional.cross_entropy(model(x), x[:, :3].argmax(1)).backward()
        optimizer.step()


def replicas(n, **arguments):
    models = [network() for _ in range(n)]
    groups = [{"params": list(m.parameters()), "replica": a} for a, m in enumerate(models)]
    return models, Parle(groups, **arguments)


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


@pytest.mark.parametrize("arguments", [
    {"rho": 0.0}, {"rho": 3.0}, {"preset": "paper-mnist"}, {"temperature": 1e-4},
], ids=str)  # fmt: skip
def test_one_replica_is_entropy_sgd_bitwise(arguments):
    ours, theirs = network(), network()
    common = dict(arguments)
    preset = Parle.PRESETS.get(common.pop("preset", ""), {})
    entropy = {k: v for k, v in {**preset, **common}.items() if not k.startswith("rho")}
    entropy = {"inner_steps": 25} | entropy
    train([ours], Parle(ours.parameters(), **arguments), 60, [0])
    train([theirs], EntropySGD(theirs.parameters(), **entropy), 60, [0])
    assert torch.equal(weights(ours), weights(theirs))


@pytest.mark.parametrize("n", [2, 3])
def test_replicas_with_the_same_data_stay_the_same_bitwise(n):
    models, optimizer = replicas(n, inner_steps=5)
    train(models, optimizer, 32, [0] * n)
    alone = network()
    train([alone], EntropySGD(alone.parameters(), inner_steps=5), 32, [0])
    assert all(torch.equal(weights(m), weights(models[0])) for m in models)
    if n == 2:  # (w + w) / 2 is w; (w + w + w) / 3 is w to rounding
        assert torch.equal(weights(models[0]), weights(alone))
    else:
        torch.testing.assert_close(weights(models[0]), weights(alone), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("outer_momentum", [0.0, 0.9])
def test_the_explicit_form_is_the_authors_iteration(outer_momentum):
    n, inner, h, m, gamma, rho, eta = 3, 4, 0.1, 0.9, 0.05, 0.4, 0.3
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(n, 7, generator=generator, dtype=torch.float64)
    params = [nn.Parameter(x.clone()) for x in start]
    optimizer = Parle(
        [{"params": [p], "replica": a} for a, p in enumerate(params)],
        lr=h, momentum=m, inner_steps=inner, gamma=gamma, gamma_growth=0.0, rho=rho,
        rho_growth=0.0, mean=0.25, outer_lr=eta, outer_momentum=outer_momentum,
        integrator="explicit",
    )  # fmt: skip
    x, buffer, outer = start.clone(), torch.zeros_like(start), torch.zeros_like(start)
    for _ in range(5):
        y, z = x.clone(), x.clone()
        for _ in range(inner):
            g = torch.randn(n, 7, generator=generator, dtype=torch.float64)
            for p, row in zip(params, g, strict=True):
                p.grad = row.clone()
            optimizer.step()
            d = g + gamma * (y - x)
            buffer = m * buffer + d
            y = y - h * (d + m * buffer)
            z = 0.75 * z + 0.25 * y
        d = (x - z) + rho * (x - x.mean(0))
        outer = outer_momentum * outer + d
        x = x - eta * (d + outer_momentum * outer)
    torch.testing.assert_close(torch.stack([p.detach() for p in params]), x, atol=1e-12, rtol=0)


def test_coupling_holds_replicas_together_that_would_part():
    apart = {}
    for rho in (0.0, 0.5, 5.0):
        models, optimizer = replicas(3, rho=rho, inner_steps=10, rho_growth=0.0)
        train(models, optimizer, 200, [0, 1, 2])
        apart[rho] = optimizer.disagreement()
    assert apart[0.0] > 3 * apart[0.5] > 3 * apart[5.0]


def test_the_papers_settings_are_what_the_authors_programs_say():
    assert Parle.PRESETS["paper-mnist"]["rho"] == pytest.approx(1.5)
    group = replicas(3, preset="paper-cifar")[1].param_groups[0]
    assert (group["inner_steps"], group["gamma"], group["rho"]) == (25, 0.01, 0.75)
    with pytest.raises(UnknownNameError, match="paper-mnist"):
        replicas(1, preset="paper-mnst")


def test_an_explicit_argument_wins_over_the_preset():
    models, optimizer = replicas(2, preset="paper-cifar", rho=7.0)
    assert optimizer.param_groups[1]["rho"] == 7.0
    assert len(copy.deepcopy(optimizer).param_groups) == len(models)
