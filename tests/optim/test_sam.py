"""SAM against the textbook, and its two forms."""

import pytest
import torch
from torch import nn

from wellposed.errors import ArgumentError
from wellposed.optim import SAM, SGD, AdamW


@pytest.fixture
def problem():
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(8, 16, 4, generator=generator)
    return inputs, inputs @ torch.tensor([1.0, -2.0, 0.5, 0.0])


def network():
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))


def backward(model, problem, batch):
    inputs, targets = problem
    model.zero_grad()
    loss = (model(inputs[batch])[:, 0] - targets[batch]).square().mean()
    loss.backward()
    return loss


def textbook(model, problem, base, rho, batches):
    """Per update a pair of batches: where the probe's gradient is from, and where the step's."""
    for first, second in batches:
        backward(model, problem, first)
        kept = [p.detach().clone() for p in model.parameters()]
        norm = torch.cat([p.grad.flatten() for p in model.parameters()]).norm()
        with torch.no_grad():
            for p in model.parameters():
                p += rho * p.grad / norm
        backward(model, problem, second)
        with torch.no_grad():
            for p, x in zip(model.parameters(), kept, strict=True):
                p.copy_(x)
        base.step()


def close(a, b):
    for p, q in zip(a.parameters(), b.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-5, atol=1e-6)


def test_the_classical_form_is_the_textbook(problem):
    ours, theirs = network(), network()
    optimizer = SAM(ours.parameters(), lr=0.1, rho=0.2, same_batch=True)
    losses = [optimizer.step(lambda b=b: backward(ours, problem, b)) for b in range(8)]
    base = SGD(theirs.parameters(), lr=0.1, momentum=0.9, nesterov=True)
    textbook(theirs, problem, base, 0.2, [(b, b) for b in range(8)])
    close(ours, theirs)
    assert losses[0].item() == backward(network(), problem, 0).item()


@pytest.mark.parametrize("adaptive_base", [False, True])
def test_the_form_with_one_gradient_takes_two_batches(problem, adaptive_base):
    ours, theirs = network(), network()
    if adaptive_base:
        optimizer = SAM(ours.parameters(), lr=0.01, rho=0.2, base=AdamW)
        base = AdamW(theirs.parameters(), lr=0.01)
    else:
        optimizer = SAM(ours.parameters(), lr=0.1, rho=0.2)
        base = SGD(theirs.parameters(), lr=0.1, momentum=0.9, nesterov=True)
    for batch in range(8):
        backward(ours, problem, batch)
        optimizer.step()
    textbook(theirs, problem, base, 0.2, [(0, 1), (2, 3), (4, 5), (6, 7)])
    close(ours, theirs)
    assert optimizer.phase == (0, 4)


def test_with_radius_0_the_classical_form_is_the_base_bitwise(problem):
    ours, theirs = network(), network()
    optimizer = SAM(ours.parameters(), lr=0.1, rho=0.0, same_batch=True)
    base = SGD(theirs.parameters(), lr=0.1, momentum=0.9, nesterov=True, fused=True)
    for batch in range(8):
        optimizer.step(lambda b=batch: backward(ours, problem, b))
        backward(theirs, problem, batch)
        base.step()
    assert all(
        torch.equal(p, q) for p, q in zip(ours.parameters(), theirs.parameters(), strict=True)
    )


def test_the_probe_is_at_the_radius():
    a, b = nn.Parameter(torch.tensor([1.0])), nn.Parameter(torch.tensor([1.0, 1.0]))
    optimizer = SAM([{"params": [a]}, {"params": [b]}], rho=0.5)
    a.grad, b.grad = torch.tensor([3.0]), torch.tensor([0.0, 4.0])
    optimizer.step()
    assert a.tolist() == pytest.approx([1.3])
    assert b.tolist() == pytest.approx([1.0, 1.4])
    assert optimizer.diagnostics()["anchor_distance"] == pytest.approx(0.5)


def test_a_zero_gradient_displaces_nothing():
    p = nn.Parameter(torch.tensor([1.0]))
    optimizer = SAM([p])
    p.grad = torch.zeros(1)
    optimizer.step()
    assert p.item() == 1.0


@pytest.mark.simulation
def test_it_prefers_flat_minima():
    """f = (u v - 1)^2 / 2 has minima along u v = 1, of curvature u^2 + v^2, least where u = v."""
    curvature = {}
    for rho in (0.0, 0.1):
        w = nn.Parameter(torch.tensor([3.0, 0.2], dtype=torch.float64))
        optimizer = SAM([w], lr=0.02, rho=rho, momentum=0, nesterov=False)
        for _ in range(6000):
            w.grad = (w.detach().prod() - 1) * w.detach().flip(0)
            optimizer.step()
        optimizer.eval()
        assert abs(w.detach().prod() - 1) < 0.1
        curvature[rho] = w.detach().square().sum().item()
    assert curvature[0.0] > 8.0
    assert curvature[0.1] < 4.0


def test_a_negative_radius_is_refused():
    with pytest.raises(ArgumentError, match="rho=-1 was given; it is the radius"):
        SAM([nn.Parameter(torch.ones(1))], rho=-1)
