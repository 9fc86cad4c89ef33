"""Kiefer-Wolfowitz against exact differences, its bias and its rates."""

import math

import pytest
import torch
from torch import nn

from wellposed.errors import ArgumentError
from wellposed.optim import SGD, KieferWolfowitz


def quadratic(n):
    generator = torch.Generator().manual_seed(0)
    root = torch.randn(n, n, generator=generator, dtype=torch.float64)
    A = root @ root.T / n + torch.eye(n).double()
    return A, torch.randn(n, generator=generator, dtype=torch.float64)


def test_on_quadratics_it_is_gradient_descent():
    # A central difference of a quadratic is its derivative, for any radius.
    A, c = quadratic(6)
    p, q = (nn.Parameter(torch.zeros(6, dtype=torch.float64)) for _ in range(2))
    calls = []

    def loss():
        calls.append(1)
        return 0.5 * (p - c) @ A @ (p - c)

    ours = KieferWolfowitz([p], lr=0.3, radius=0.7)
    for k in range(20):
        ours.step(loss)
        q.grad = A @ (q.detach() - c)
        SGD([q], lr=0.3 / (k + 1)).step()
        torch.testing.assert_close(p, q, rtol=0, atol=1e-13)
    assert len(calls) == ours.evaluations == 2 * 6 * 20


def slope_error(radius):
    x = nn.Parameter(torch.linspace(-1, 1, 5, dtype=torch.float64))
    start = x.detach().clone()
    KieferWolfowitz([x], lr=1.0, radius=radius).step(lambda: x.exp().sum())
    return start - x.detach() - start.exp()


def test_the_bias_is_the_third_derivative_times_the_square_of_the_radius():
    start = torch.linspace(-1, 1, 5, dtype=torch.float64)
    for radius in (1e-2, 1e-3):
        expected = radius**2 / 6 * start.exp()
        torch.testing.assert_close(slope_error(radius), expected, rtol=1e-4, atol=1e-12)
    order = (slope_error(2e-2) / slope_error(1e-2)).log2()
    torch.testing.assert_close(order, torch.full((5,), 2.0).double(), rtol=0, atol=1e-3)


def errors(radius_power, steps, replicas=200, noise=1.0):
    """Squared errors on x^2/2 with noisy values; every coordinate is a replica of its own."""
    generator = torch.Generator().manual_seed(1)
    draws = iter((torch.randn(2 * replicas * steps, generator=generator) * noise).tolist())
    x = nn.Parameter(torch.zeros(replicas, dtype=torch.float64))
    optimizer = KieferWolfowitz([x], lr=1.0, radius=1.0, radius_power=radius_power)
    found = []
    for _ in range(steps):
        optimizer.step(lambda: 0.5 * (x @ x) + next(draws))
        found.append(x.detach().square().mean().item())
    return found


def predicted(radius_power, steps, noise=1.0):
    """The mean squared error, exactly: V' = (1 - a)^2 V + a^2 noise^2 / 2c^2."""
    variance, found = 0.0, []
    for k in range(steps):
        a, c = 1 / (k + 1), 1 / (k + 1) ** radius_power
        variance = (1 - a) ** 2 * variance + a**2 * noise**2 / (2 * c**2)
        found.append(variance)
    return found


@pytest.mark.simulation
@pytest.mark.parametrize("q", [1 / 6, 1 / 3])
def test_the_rate_on_a_noisy_quadratic_is_that_of_the_theory(q):
    # E|x|^2 ~ k^-(1 - 2q): exponents 2/3 and 1/3. Relative standard error of a mean of 200
    # squares: 0.1; of an exponent from k = 12 and 120: sqrt(2) 0.1 / log 10 = 0.061, four of them.
    steps = 120
    found, exact = errors(q, steps), predicted(q, steps)
    for k in (11, 39, 119):
        assert found[k] == pytest.approx(exact[k], rel=0.4)
    exponent = math.log(found[11] / found[119]) / math.log(10)
    assert exponent == pytest.approx(1 - 2 * q, abs=0.25)
    exact = predicted(q, 100_000)
    assert math.log10(exact[9_999] / exact[99_999]) == pytest.approx(1 - 2 * q, abs=1e-3)


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 2, 2)])
def test_weights_of_every_shape_and_layout_are_moved(shape):
    x = nn.Parameter(torch.ones(shape, dtype=torch.float64))
    KieferWolfowitz([x], lr=0.5).step(lambda: 0.5 * x.square().sum())
    torch.testing.assert_close(x.detach(), torch.full(shape, 0.5).double(), rtol=0, atol=1e-14)
    whole = torch.ones(4, 6, dtype=torch.float64)
    part = nn.Parameter(whole[::2, 1:4])
    KieferWolfowitz([part], lr=0.5).step(lambda: 0.5 * part.square().sum())
    torch.testing.assert_close(part, torch.full((2, 3), 0.5).double(), rtol=0, atol=1e-14)
    assert whole.sum() == pytest.approx(24 - 3)


def test_the_distance_is_the_one_that_rounding_left():
    # In bfloat16, 1 + 0.01 is 1.0078 and 1 - 0.01 is 0.98828: dividing by 0.02 would be 2 % off.
    x = nn.Parameter(torch.ones(1, dtype=torch.bfloat16))
    KieferWolfowitz([x], lr=0.5, radius=0.01).step(lambda: x.double().sum())
    assert x.item() == 0.5


def test_a_radius_that_vanishes_beside_the_weight_is_refused_and_the_weight_kept():
    x = nn.Parameter(torch.full((1,), 1e6))
    with pytest.raises(ArgumentError, match=r"cannot tell 1e.06 from itself plus radius=0.001"):
        KieferWolfowitz([x], radius=1e-3).step(x.sum)
    assert x.item() == 1e6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"power": 0.5}, "step power of 0.5"),
        ({"radius_power": 0.5}, "radius power of 0.5"),
        ({"power": 0.8, "radius_power": 0.15}, "radius_power=0.15 with power=0.8.*more than 1"),
        ({"offset": -1.0}, "offset=-1"),
        ({"max_evaluations": 5}, "3 weights.*6 times.*SPSA"),
    ],
)
def test_what_does_not_converge_or_costs_too_much_is_refused(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        KieferWolfowitz([nn.Parameter(torch.ones(3))], **arguments)


def test_weights_of_all_groups_count():
    optimizer = KieferWolfowitz([nn.Parameter(torch.ones(3))], max_evaluations=8)
    with pytest.raises(ArgumentError, match=r"6 weights.*12 times"):
        optimizer.add_param_group({"params": [nn.Parameter(torch.ones(3))]})
