"""Elastic averaging against its definition and its limits."""

from math import inf

import pytest
import torch
from torch import nn

from wellposed.optim import ElasticSGD


def start(n=3, **arguments):
    generator = torch.Generator().manual_seed(0)
    params = [
        nn.Parameter(torch.randn(5, generator=generator, dtype=torch.float64)) for _ in range(n)
    ]
    groups = [{"params": [p], "replica": a} for a, p in enumerate(params)]
    return params, ElasticSGD(groups, **arguments)


def descend(params, optimizer, steps):
    generator = torch.Generator().manual_seed(1)
    seen = []
    for _ in range(steps):
        for p in params:
            noise = torch.randn(5, generator=generator, dtype=torch.float64)
            p.grad = p.detach() + noise
        seen.append(torch.stack([p.grad for p in params]))
        optimizer.step()
    return seen


@pytest.mark.parametrize("tau", [1, 4])
def test_it_is_sgd_and_a_fraction_of_the_way_to_the_mean(tau):
    params, optimizer = start(lr=0.1, inner_steps=tau, rho=0.25)
    theirs = [nn.Parameter(p.detach().clone()) for p in params]
    sgd = torch.optim.SGD(theirs, lr=0.1, momentum=0.9, nesterov=True)
    for step, grads in enumerate(descend(params, optimizer, 12)):
        for p, g in zip(theirs, grads, strict=True):
            p.grad = g.clone()
        sgd.step()
        if step % tau == tau - 1:
            with torch.no_grad():
                mean = torch.stack(list(theirs)).mean(0)
                for p in theirs:
                    p.lerp_(mean, 0.2)
    torch.testing.assert_close(torch.stack(params), torch.stack(theirs), atol=1e-13, rtol=1e-12)


def test_springs_of_infinite_strength_at_every_step_are_sgd_on_the_mean_gradient():
    params, optimizer = start(lr=0.1, inner_steps=1, rho=inf, momentum=0.9)
    alone = nn.Parameter(torch.stack(params).detach().mean(0))
    sgd = torch.optim.SGD([alone], lr=0.1, momentum=0.9, nesterov=True)
    for grads in descend(params, optimizer, 20):
        alone.grad = grads.mean(0)
        sgd.step()
    for p in params:
        torch.testing.assert_close(p.detach(), alone.detach(), atol=1e-13, rtol=1e-12)


@pytest.mark.simulation
def test_the_mean_has_a_fraction_of_one_replicas_variance():
    params, optimizer = start(n=4, lr=0.05, inner_steps=10, momentum=0.0)
    single, means = [], []
    for _ in range(300):
        descend_once(params, optimizer)
        with optimizer.at_consensus():
            means.append(params[0].detach().clone())
        single.append(params[0].detach().clone())
    ratio = torch.stack(means)[50:].var() / torch.stack(single)[50:].var()
    assert 0.1 < ratio < 0.5  # independent: 1/4; tied: more


GENERATOR = torch.Generator().manual_seed(5)


def descend_once(params, optimizer):
    for _ in range(10):
        for p in params:
            p.grad = p.detach() + torch.randn(5, generator=GENERATOR, dtype=torch.float64)
        optimizer.step()
