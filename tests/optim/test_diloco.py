"""DiLoCo against its algorithm, written out with torch's own optimizers."""

import pytest
import torch
from torch import nn

from wellposed.optim import DiLoCo


def gradients(steps, n):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(steps, n, 6, generator=generator, dtype=torch.float64)


def written_out(start, grads, inner, base):
    """Algorithm 1 of the paper: workers, their mean difference, torch's Nesterov on it."""
    n = grads.shape[1]
    shared = nn.Parameter(start.clone())
    outer = torch.optim.SGD([shared], lr=0.7, momentum=0.9, nesterov=True)
    workers = [nn.Parameter(start.clone()) for _ in range(n)]
    optimizers = [base([w]) for w in workers]
    for step, row in enumerate(grads):
        for w, optimizer, g in zip(workers, optimizers, row, strict=True):
            w.grad = g.clone()
            optimizer.step()
        if step % inner == inner - 1:
            shared.grad = torch.stack([shared.detach() - w.detach() for w in workers]).mean(0)
            outer.step()
            with torch.no_grad():
                for w in workers:
                    w.copy_(shared)
    return shared.detach()


@pytest.mark.parametrize("n", [1, 3])
def test_it_is_the_algorithm(n):
    start, grads = torch.linspace(-1, 1, 6, dtype=torch.float64), gradients(20, n)
    params = [nn.Parameter(start.clone()) for _ in range(n)]
    optimizer = DiLoCo(
        [{"params": [p], "replica": a} for a, p in enumerate(params)], lr=0.01, inner_steps=5
    )
    for row in grads:
        for p, g in zip(params, row, strict=True):
            p.grad = g.clone()
        optimizer.step()
    expected = written_out(start, grads, 5, lambda p: torch.optim.AdamW(p, lr=0.01))
    for p in params:
        torch.testing.assert_close(p.detach(), expected, atol=1e-13, rtol=1e-12)
        assert torch.equal(p, params[0])


def test_the_published_settings():
    optimizer = DiLoCo([nn.Parameter(torch.ones(1))], preset="diloco")
    group = optimizer.param_groups[0]
    assert (group["inner_steps"], group["lr"], group["weight_decay"]) == (500, 4e-4, 0.1)
    assert (group["outer_lr"], group["outer_momentum"]) == (0.7, 0.9)


def test_another_base():
    p = nn.Parameter(torch.ones(2))
    optimizer = DiLoCo([p], base=torch.optim.RMSprop)
    p.grad = torch.ones(2)
    optimizer.step()
    assert "square_avg" in optimizer.state[p]
