"""Laplacian smoothing around its base, against dense linear algebra."""

from functools import partial

import pytest
import torch
from torch import nn

from wellposed.errors import ArgumentError
from wellposed.optim import EntropySGD, GroupScheduler, LaplacianSmoothing, Linear


def plain(params, lr):
    return torch.optim.SGD(params, lr=lr)


def laplacian(n):
    identity = torch.eye(n, dtype=torch.float64)
    return identity.roll(1, 0) + identity.roll(-1, 0) - 2 * identity


def matrices():
    generator = torch.Generator().manual_seed(0)
    shapes = [(4, 3), (5,), (2, 3, 2, 2)]
    return [nn.Parameter(torch.randn(s, generator=generator).double()) for s in shapes]


def give_gradients(params, step):
    generator = torch.Generator().manual_seed(step)
    for p in params:
        p.grad = torch.randn(p.shape, generator=generator).to(p.dtype)


@pytest.mark.parametrize("order", [1, 2])
def test_it_is_the_base_with_gradients_solved_for(order):
    ours, theirs = matrices(), matrices()
    optimizer = LaplacianSmoothing(ours, lr=0.1, weight_decay=0.1, sigma=2.0, order=order)
    reference = torch.optim.SGD(theirs, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.1)
    for step in range(20):
        give_gradients(ours, step)
        give_gradients(theirs, step)
        for p in theirs:
            n = p.numel()
            power = torch.linalg.matrix_power(laplacian(n), order)
            operator = torch.eye(n, dtype=torch.float64) + (-1) ** order * 2.0 * power
            p.grad = torch.linalg.solve(operator, p.grad.flatten()).view(p.shape)
        optimizer.step()
        reference.step()
    for p, q in zip(ours, theirs, strict=True):
        torch.testing.assert_close(p, q, rtol=0, atol=1e-14)


@pytest.mark.parametrize("base", [None, torch.optim.AdamW])
def test_without_smoothing_it_is_the_base_bitwise(base):
    ours, theirs = matrices(), matrices()
    optimizer = LaplacianSmoothing(ours, lr=0.1, sigma=0.0, base=base)
    reference = (
        torch.optim.SGD(theirs, lr=0.1, momentum=0.9, nesterov=True, fused=True)
        if base is None
        else base(theirs, lr=0.1)
    )
    for step in range(20):
        give_gradients(ours, step)
        give_gradients(theirs, step)
        optimizer.step()
        reference.step()
    assert all(torch.equal(p, q) for p, q in zip(ours, theirs, strict=True))


def test_without_step_size_and_gradient_nothing_moves():
    params = matrices()
    before = [p.detach().clone() for p in params]
    optimizer = LaplacianSmoothing(params, lr=0.0)
    for p in params:
        p.grad = torch.zeros_like(p)
    for _ in range(3):
        optimizer.step()
    assert all(torch.equal(p, b) for p, b in zip(params, before, strict=True))


@pytest.mark.parametrize("sigma", [1.0, 10.0])
def test_white_noise_loses_as_much_variance_as_stated(sigma):
    n = 200_000
    p = nn.Parameter(torch.zeros(n, dtype=torch.float64))
    p.grad = torch.randn(n, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    LaplacianSmoothing([p], lr=1.0, sigma=sigma, base=plain).step()
    factor = (1 + 2 * sigma) * (1 + 4 * sigma) ** -1.5
    assert p.detach().var() == pytest.approx(factor, rel=0.05)


@pytest.mark.parametrize(("factor", "converges"), [(0.99, True), (1.01, False)])
def test_rough_directions_bear_a_larger_step(factor, converges):
    # On the energy of a string, whose curvatures are 2 - 2 cos, gradient descent is stable up to
    # 2/4, smoothed by sigma up to (1 + 4 sigma) times that.
    n, sigma = 64, 10.0
    energy = -laplacian(n)
    p = nn.Parameter(torch.randn(n, generator=torch.Generator().manual_seed(0)).double())
    lr = factor * (1 + 4 * sigma) * 2 / 4
    optimizer = LaplacianSmoothing([p], lr=lr, sigma=sigma, base=plain)
    values = []
    for _ in range(2000):
        p.grad = energy @ p.detach()
        values.append(p.detach().dot(p.grad).item())
        optimizer.step()
    assert (values[-1] < 1e-6 * values[0]) == converges
    assert (values[-1] > values[0]) != converges


def test_low_precision_weights_are_smoothed_in_float32():
    p = nn.Parameter(torch.zeros(1000, dtype=torch.bfloat16))
    p.grad = torch.rand(1000, generator=torch.Generator().manual_seed(0)).bfloat16()
    LaplacianSmoothing([p], lr=1.0, sigma=1e4, base=plain).step()
    q = nn.Parameter(torch.zeros(1000))
    q.grad = p.grad.float()
    LaplacianSmoothing([q], lr=1.0, sigma=1e4, base=plain).step()
    assert torch.equal(p, q.bfloat16())


def test_its_strength_can_be_scheduled_and_resumed():
    def setup():
        params = matrices()
        optimizer = LaplacianSmoothing(params, sigma=100.0)
        return params, optimizer, GroupScheduler(optimizer, Linear(), 10, key="sigma")

    def train(params, optimizer, scheduler, first, last):
        for step in range(first, last):
            give_gradients(params, step)
            optimizer.step()
            scheduler.step()

    straight, first, second = setup(), setup(), setup()
    train(*straight, 0, 12)
    train(*first, 0, 7)
    second[1].load_state_dict(first[1].state_dict())
    second[2].load_state_dict(first[2].state_dict())
    with torch.no_grad():
        for p, q in zip(second[0], first[0], strict=True):
            p.copy_(q)
    train(*second, 7, 12)
    assert all(torch.equal(p, q) for p, q in zip(straight[0], second[0], strict=True))
    assert straight[1].param_groups[0]["sigma"] == 0


def test_gradients_may_come_and_go():
    params = matrices()
    optimizer = LaplacianSmoothing(params, lr=1.0, base=plain)
    give_gradients(params, 0)
    params[0].grad = None
    optimizer.step()
    alone = matrices()
    give_gradients(alone, 0)
    LaplacianSmoothing(alone, lr=1.0, base=plain).step()
    assert torch.equal(params[0], matrices()[0])
    for p, q in zip(params[1:], alone[1:], strict=True):
        torch.testing.assert_close(p, q, rtol=0, atol=1e-15)


def test_a_relaxation_goes_around_it():
    p = nn.Parameter(torch.ones(20))
    base = partial(LaplacianSmoothing, sigma=1.0)
    optimizer = EntropySGD([p], lr=0.05, inner_steps=4, base=base)
    for _ in range(80):
        p.grad = p.detach().clone()
        optimizer.step()
    assert p.detach().abs().max() < 0.1
    assert optimizer.phase == (0, 20)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sigma": -1.0}, "got sigma=-1; it is at least 0"),
        ({"sigma": 1e5}, "got sigma=100000; it is at least 0 and at most 10000"),
        ({"order": 0}, "got order=0; it is an integer from 1 to 4"),
        pytest.param(
            {"order": 1.5}, "got order=1.5; it is an integer", marks=pytest.mark.wrong_types
        ),
    ],
)
def test_it_refuses_what_makes_no_sense(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        LaplacianSmoothing(matrices(), **arguments)
