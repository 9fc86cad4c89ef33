"""SlowMo against its algorithm, with a step size that changes."""

import pytest
import torch
from torch import nn

from wellposed.optim import SlowMo


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("decay", [1.0, 0.8])
def test_it_is_the_algorithm(n, decay):
    tau, alpha, beta, h = 4, 0.9, 0.6, 0.1
    generator = torch.Generator().manual_seed(1)
    grads = torch.randn(20, n, 6, generator=generator, dtype=torch.float64)
    start = torch.linspace(-1, 1, 6, dtype=torch.float64)
    params = [nn.Parameter(start.clone()) for _ in range(n)]
    optimizer = SlowMo(
        [{"params": [p], "replica": a} for a, p in enumerate(params)],
        lr=h, inner_steps=tau, outer_lr=alpha, outer_momentum=beta,
    )  # fmt: skip
    workers = [nn.Parameter(start.clone()) for _ in range(n)]
    sgd = torch.optim.SGD(workers, lr=h, momentum=0.9, nesterov=True)
    x, u = start.clone(), torch.zeros_like(start)
    for step, row in enumerate(grads):
        for group in [*optimizer.param_groups, *sgd.param_groups]:
            group["lr"] = h * decay**step
        for own, worker, g in zip(params, workers, row, strict=True):
            own.grad, worker.grad = g.clone(), g.clone()
        optimizer.step()
        sgd.step()
        if step % tau == tau - 1:
            rate = h * decay**step
            u = beta * u + (x - torch.stack(list(workers)).detach().mean(0)) / rate
            x = x - alpha * rate * u
            with torch.no_grad():
                for worker in workers:
                    worker.copy_(x)
    for p in params:
        torch.testing.assert_close(p.detach(), x, atol=1e-13, rtol=1e-11)
        assert torch.equal(p, params[0])


def test_without_slow_momentum_it_is_local_sgd():
    p = nn.Parameter(torch.linspace(-1, 1, 6))
    q = nn.Parameter(p.detach().clone())
    ours = SlowMo([p], inner_steps=3, outer_momentum=0.0)
    theirs = torch.optim.SGD([q], lr=0.05, momentum=0.9, nesterov=True, fused=True)
    generator = torch.Generator().manual_seed(1)
    for _ in range(12):
        p.grad = torch.randn(6, generator=generator)
        q.grad = p.grad.clone()
        ours.step()
        theirs.step()
    assert torch.equal(p, q)


def test_a_step_size_of_0_in_between_forgets_the_past():
    p = nn.Parameter(torch.ones(1))
    optimizer = SlowMo([p], lr=0.1, momentum=0.0, inner_steps=1, outer_momentum=0.5)
    moves = []
    for lr in (0.1, 0.0, 0.1):
        optimizer.param_groups[0]["lr"] = lr
        before = p.item()
        p.grad = torch.ones(1)
        optimizer.step()
        moves.append(p.item() - before)
    assert moves == pytest.approx([-0.1, 0.0, -0.1], abs=1e-6)
