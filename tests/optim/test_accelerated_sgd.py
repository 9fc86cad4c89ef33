"""Laborde and Oberman's method: its three sequences, Nesterov's limit, and the rates."""

import math

import pytest
import torch
from torch import nn

from wellposed.errors import ArgumentError
from wellposed.optim import AcceleratedSGD, memory

DOUBLE = torch.float64


def quadratic(n=20, smallest=0.01):
    """Curvatures up to 1, and where to start."""
    a = torch.logspace(math.log10(smallest), 0, n, dtype=DOUBLE)
    return a, torch.randn(n, dtype=DOUBLE, generator=torch.Generator().manual_seed(0))


def parameter(value):
    return nn.Parameter(value.clone())


@pytest.mark.parametrize("mu", [0.0, 0.01])
def test_with_constant_steps_it_is_nesterovs_method(mu):
    a, start = quadratic()
    p = parameter(start)
    optimizer = AcceleratedSGD([p], lr=1.0, strong_convexity=mu, offset=math.inf)
    x = y = start
    for k in range(200):
        p.grad = a * p.detach()
        optimizer.step()
        momentum = k / (k + 3) if mu == 0 else (1 - math.sqrt(mu)) / (1 + math.sqrt(mu))
        x, before = y - a * y, x
        y = x + momentum * (x - before)
        torch.testing.assert_close(p.detach(), y, rtol=0, atol=1e-14)
        torch.testing.assert_close(optimizer.state[p]["anchor"], x, rtol=0, atol=1e-14)


def three_sequences(start, gradients, lrs, lipschitz, mu, offset):
    """x and y after each step by the equations, with v at hand; y is made with the last lr."""
    root, power = math.sqrt(lipschitz), 0.75 if mu == 0 else 1.0
    x = v = y = start
    time, visited = None, []

    def h_of(k, lr):
        return lr * root * (offset / (k + offset)) ** power

    for k, (gradient, lr) in enumerate(zip(gradients, lrs, strict=True)):
        h, after = h_of(k, lr), h_of(k + 1, lr)
        g = gradient(y)
        time = 2 * h if time is None else time + h
        x_next = y - h / root * g
        if mu == 0:
            v = v - h * time / 2 * g
            theta = min(1.0, 2 * after / (time + after))
        else:
            pull = h * math.sqrt(mu) / (1 + h * math.sqrt(mu))
            v = v + pull * (x - v) - h / math.sqrt(mu) * g
            theta = after * math.sqrt(mu) / (1 + after * math.sqrt(mu))
        x = x_next
        y = x + theta * (v - x)
        visited.append((x, y))
    return visited


@pytest.mark.parametrize("mu", [0.0, 0.05])
@pytest.mark.parametrize("changing", [False, True])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_it_is_the_three_sequences(mu, changing, weight_decay):
    a, start = quadratic()
    steps, offset = 120, 7.0
    generator = torch.Generator().manual_seed(1)
    noise = [torch.randn(20, dtype=DOUBLE, generator=generator) for _ in range(steps)]
    lrs = [0.4 * (0.5 if changing and 40 <= k < 80 else 1.0) for k in range(steps)]
    expected = three_sequences(
        start,
        [lambda y, e=e: a * y + e + weight_decay * y for e in noise],
        lrs, 2.0, mu, offset,
    )  # fmt: skip
    p = parameter(start)
    optimizer = AcceleratedSGD(
        [p], lr=0.4, lipschitz=2.0, strong_convexity=mu, offset=offset, weight_decay=weight_decay
    )
    for (x, y), e, lr in zip(expected, noise, lrs, strict=True):
        optimizer.param_groups[0]["lr"] = lr
        p.grad = a * p.detach() + e
        optimizer.step()
        torch.testing.assert_close(p.detach(), y, rtol=0, atol=1e-12)
        with optimizer.at_anchor():
            torch.testing.assert_close(p.detach(), x, rtol=0, atol=1e-12)


@pytest.mark.simulation
def test_without_noise_it_keeps_nesterovs_bounds():
    a, start = quadratic(50, 1e-5)
    p = parameter(start)
    optimizer = AcceleratedSGD([p], lr=1.0, offset=math.inf)
    for k in range(1, 500):
        p.grad = a * p.detach()
        optimizer.step()
        x = optimizer.state[p]["anchor"]
        assert (a * x * x).sum() / 2 <= 2 * start.dot(start) / (k + 1) ** 2
    a, start = quadratic(50, 1e-3)
    p = parameter(start)
    optimizer = AcceleratedSGD([p], lr=1.0, strong_convexity=1e-3, offset=math.inf)
    initial = (a * start * start).sum() / 2 + 1e-3 / 2 * start.dot(start)
    for k in range(1, 500):
        p.grad = a * p.detach()
        optimizer.step()
        x = optimizer.state[p]["anchor"]
        assert (a * x * x).sum() / 2 <= initial * (1 - math.sqrt(1e-3)) ** k * (1 + 1e-12)


def noisy_errors(a, marks, runs=400, **arguments):
    """Mean loss at x after these numbers of steps, and the standard error of the mean."""
    generator = torch.Generator().manual_seed(0)
    p = parameter(torch.ones(runs, len(a), dtype=DOUBLE))
    optimizer = AcceleratedSGD([p], lr=1.0, **arguments)
    found = []
    for k in range(1, max(marks) + 1):
        p.grad = a * p.detach() + torch.randn(p.shape, dtype=DOUBLE, generator=generator)
        optimizer.step()
        if k in marks:
            x = optimizer.state[p]["anchor"]
            losses = (a * x * x).sum(1) / 2
            found.append((losses.mean().item(), losses.std().item() / math.sqrt(runs)))
    return found


@pytest.mark.simulation
def test_strongly_convex_losses_fall_as_one_over_k():
    # Exponent -1, up to four standard errors and 0.05 for what is left of the start.
    a = torch.tensor([0.1, 0.3, 1.0], dtype=DOUBLE)
    marks = [512, 8192]
    (early, e), (late, f) = noisy_errors(a, marks, strong_convexity=0.1)
    exponent = math.log(late / early) / math.log(marks[1] / marks[0])
    error = math.hypot(e / early, f / late) / math.log(marks[1] / marks[0])
    assert error < 0.03
    assert abs(exponent + 1) < 4 * error + 0.05
    constant = noisy_errors(a, [2048], strong_convexity=0.1, offset=math.inf)
    assert constant[0][0] > 100 * late


@pytest.mark.simulation
def test_convex_losses_fall_as_log_k_over_root_k():
    # Curvatures over four decades: the exponent of f / (log k / sqrt k) is 0, up to four standard
    # errors and 0.03.
    a = torch.logspace(-4, 0, 9, dtype=DOUBLE)
    marks = [128, 8192]
    (early, e), (late, f) = noisy_errors(a, marks, offset=1.0)
    bounds = [math.log(k) / math.sqrt(k) for k in marks]
    exponent = math.log(late / bounds[1] * bounds[0] / early) / math.log(marks[1] / marks[0])
    error = math.hypot(e / early, f / late) / math.log(marks[1] / marks[0])
    assert error < 0.02
    assert abs(exponent) < 4 * error + 0.03


def test_the_default_offset_is_as_strong_as_momentum_0_9():
    offset = AcceleratedSGD([parameter(torch.zeros(1))]).param_groups[0]["offset"]
    time, largest = 0.0, 0.0
    for k in range(1000):
        h = (1 + k / offset) ** -0.75
        time += h if k else 2 * h
        largest = max(largest, h * time / 2)
    assert 8 < largest <= 10


def test_without_a_step_size_nothing_moves_and_no_time_passes():
    p = parameter(torch.tensor([1.0, -2.0]))
    optimizer = AcceleratedSGD([p], lr=0.1)
    for _ in range(3):
        p.grad = torch.tensor([1.0, 1e-3])
        optimizer.step()
    before, time = p.detach().clone(), optimizer.param_groups[0]["time"]
    optimizer.param_groups[0]["lr"] = 0.0
    p.grad = torch.zeros(2)
    optimizer.step()
    assert torch.equal(p, before)
    assert optimizer.param_groups[0]["time"] == time
    fresh = parameter(torch.tensor([1.0, -2.0]))
    again = AcceleratedSGD([fresh], lr=0.1)
    fresh.grad = torch.zeros(2)
    again.step()  # zero gradients alone do not move anything either
    assert torch.equal(fresh, torch.tensor([1.0, -2.0]))


def test_low_precision_weights_are_rounded_from_float32():
    values = torch.randn(50, generator=torch.Generator().manual_seed(0)).bfloat16()
    low, high = nn.Parameter(values.clone()), nn.Parameter(values.float())
    optimizers = [AcceleratedSGD([p], lr=0.01) for p in (low, high)]
    for step in range(30):
        grad = torch.randn(50, generator=torch.Generator().manual_seed(step)).bfloat16()
        for p, optimizer in zip((low, high), optimizers, strict=True):
            p.grad = grad.to(p.dtype)
            optimizer.step()
    assert torch.equal(low, high.bfloat16())
    for optimizer in optimizers:
        optimizer.eval()
    assert torch.equal(low, high.bfloat16())


def test_it_costs_one_copy_of_the_weights():
    p = parameter(torch.zeros(7))
    optimizer = AcceleratedSGD([p])
    p.grad = torch.ones(7)
    optimizer.step()
    assert memory(optimizer) == 7 * 4


def test_finishing_restarts_at_rest():
    a, start = quadratic()
    p = parameter(start)
    optimizer = AcceleratedSGD([p], lr=1.0)
    for _ in range(10):
        p.grad = a * p.detach()
        optimizer.step()
    optimizer.finish_cycle()
    q = parameter(p.detach())
    fresh = AcceleratedSGD([q], lr=1.0)
    for _ in range(5):
        p.grad, q.grad = a * p.detach(), a * q.detach()
        optimizer.step()
        fresh.step()
    assert torch.equal(p, q)
    assert optimizer.phase == (5, 1)


def test_a_group_of_its_own_lipschitz_constant():
    p, q = parameter(torch.ones(1)), parameter(torch.ones(1))
    optimizer = AcceleratedSGD([{"params": [p], "lr": 0.5}, {"params": [q], "lr": 0.0}], lr=0.2)
    assert [group["lipschitz"] for group in optimizer.param_groups] == [2.0, 5.0]


def test_sparse_gradients_are_refused():
    embedding = nn.Embedding(4, 2, sparse=True)
    optimizer = AcceleratedSGD(embedding.parameters())
    embedding(torch.tensor([1])).sum().backward()
    with pytest.raises(ArgumentError, match="AcceleratedSGD got a sparse gradient"):
        optimizer.step()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lr": -1.0}, "lr=-1 was given; it is at least 0"),
        ({"lr": 0.0}, "got lr=0 and no lipschitz"),
        ({"lr": 0.1, "lipschitz": 20.0}, "got lr=0.1 and lipschitz=20; .* at most its inverse"),
        ({"lipschitz": -1.0}, "got lr=0.05 and lipschitz=-1; lipschitz is positive"),
        ({"lr": 0.1, "strong_convexity": 11.0}, "got strong_convexity=11; .* curvature 10"),
        ({"strong_convexity": -1.0}, "got strong_convexity=-1"),
        ({"offset": 0.0}, "got offset=0; it is positive"),
        ({"weight_decay": -0.1}, "weight_decay=-0.1 was given"),
    ],
)
def test_it_refuses_what_makes_no_sense(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        AcceleratedSGD([parameter(torch.zeros(1))], **arguments)
