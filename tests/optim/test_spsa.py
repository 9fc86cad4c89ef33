"""SPSA against sums over all signs, its bias, and an exact recursion for its error."""

import math
from itertools import product

import pytest
import torch
from torch import nn

from wellposed.errors import ArgumentError
from wellposed.optim import SPSA
from wellposed.optim import _spsa as module


def every_sign(monkeypatch, n, f, radius):
    """The mean of the estimate over all 2^n directions, and its mean square."""
    start = torch.linspace(-1, 1, n, dtype=torch.float64)
    found = []
    for signs in product((-1.0, 1.0), repeat=n):
        delta = torch.tensor(signs, dtype=torch.float64)
        monkeypatch.setattr(module, "direction", lambda *_, delta=delta: delta)
        x = nn.Parameter(start.clone())
        SPSA([x], lr=1.0, radius=radius).step(lambda x=x: f(x))
        found.append(start - x.detach())
    stacked = torch.stack(found)
    return stacked.mean(0), stacked.square().sum(1).mean(), start


@pytest.mark.parametrize("radius", [1e-2, 1.0])
def test_over_all_signs_it_is_the_gradient_of_a_quadratic(monkeypatch, radius):
    generator = torch.Generator().manual_seed(0)
    root = torch.randn(5, 5, generator=generator, dtype=torch.float64)
    A = root @ root.T
    mean, square, start = every_sign(monkeypatch, 5, lambda x: 0.5 * x @ A @ x, radius)
    gradient = A @ start
    torch.testing.assert_close(mean, gradient, rtol=0, atol=1e-12)
    assert square == pytest.approx(5 * (gradient @ gradient).item())  # as documented: n times


def test_the_bias_is_of_second_order_in_the_radius(monkeypatch):
    def f(x):
        return x.sum().exp() + x[0] * x[1] ** 2

    start = torch.linspace(-1, 1, 4, dtype=torch.float64).requires_grad_()
    (gradient,) = torch.autograd.grad(f(start), start)
    biases = [
        (every_sign(monkeypatch, 4, f, radius)[0] - gradient).norm().item()
        for radius in (4e-2, 2e-2, 1e-2)
    ]
    assert biases[-1] > 1e-5
    assert math.log2(biases[0] / biases[1]) == pytest.approx(2, abs=5e-3)
    assert math.log2(biases[1] / biases[2]) == pytest.approx(2, abs=5e-3)


def run(replica, n, steps, *, directions=1, noise=0.5):
    """|x|^2 along a run on |x|^2 / 2 with noisy values."""
    generator = torch.Generator().manual_seed(replica)
    draws = iter((torch.randn(2 * steps * directions, generator=generator) * noise).tolist())
    x = nn.Parameter(torch.full((n,), n**-0.5, dtype=torch.float64))
    optimizer = SPSA(
        [x], lr=0.2, radius=0.5, offset=20, directions=directions, noise_seed=1000 + replica
    )
    found = []
    for _ in range(steps):
        optimizer.step(lambda: 0.5 * (x @ x) + next(draws))
        found.append(x.detach().square().sum().item())
    return found


def predicted(n, steps, *, directions=1, noise=0.5):
    """E|x|^2, exactly: the estimate has mean x and mean square |x|^2 + ((n-1)|x|^2 + n s^2/2c^2)/m.

    (a_k and c_k written out once more, from the docstring.)
    """
    square, found = 1.0, []
    for k in range(steps):
        a, c = 0.2 * (21 / (21 + k)) ** 0.602, 0.5 / (k + 1) ** 0.101
        extra = ((n - 1) * square + n * noise**2 / (2 * c**2)) / directions
        square = (1 - a) ** 2 * square + a**2 * extra
        found.append(square)
    return found


@pytest.mark.simulation
@pytest.mark.parametrize("directions", [1, 3])
def test_the_error_on_a_noisy_quadratic_is_that_of_the_exact_recursion(directions):
    n, steps, replicas = 3, 60, 120
    runs = torch.tensor([run(r, n, steps, directions=directions) for r in range(replicas)])
    exact = predicted(n, steps, directions=directions)
    for k in (0, 9, 59):
        error = runs[:, k].std().item() / replicas**0.5  # its standard error, four of them
        assert runs[:, k].mean().item() == pytest.approx(exact[k], abs=4 * error)
        assert error < 0.2 * exact[k]


def test_the_rate_of_that_recursion_is_spalls():
    # E|x|^2 ~ k^-(p - 2q) = k^-0.4: with the fastest gains that he allows for it is k^-2/3.
    exact = predicted(3, 1_000_000)
    assert math.log10(exact[99_999] / exact[999_999]) == pytest.approx(0.4, abs=0.01)


def test_gains_are_spalls():
    # On f = x the estimate is 1 whatever the sign, so steps are a_k; radii are seen by f.
    x = nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = SPSA([x], lr=0.3, radius=0.2, offset=10)
    before, seen = 0.0, []
    for k in range(5):
        optimizer.step(lambda: seen.append(x.item()) or x.sum())
        assert before - x.item() == pytest.approx(0.3 * 11**0.602 / (10 + k + 1) ** 0.602)
        assert abs(seen[-1] - before) == pytest.approx(0.2 / (k + 1) ** 0.101)
        before = x.item()


def test_averaging_takes_different_directions():
    seen = []
    x = nn.Parameter(torch.zeros(30))
    optimizer = SPSA([x], directions=4)
    optimizer.step(lambda: seen.append(x.detach().clone()) or x.sum())
    optimizer.step(lambda: seen.append(x.detach().clone()) or x.sum())
    assert optimizer.evaluations == len(seen) == 16
    assert len({tuple(s.sign().tolist()) for s in seen}) > 14


def test_seeds_make_runs_different():
    found = []
    for seed in (0, 0, 1):
        x = nn.Parameter(torch.ones(8))
        SPSA([x], noise_seed=seed).step(lambda x=x: x.square().sum())
        found.append(x.detach())
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"power": 0.4}, "step power of 0.4"),
        ({"radius_power": 0.102}, "radius power of 0.102 with a step power of 0.602"),
        ({"offset": -1.0}, "offset=-1"),
        ({"directions": 0}, "directions=0"),
        ({"distribution": "normal"}, "'normal'; it is 'rademacher' or 'gaussian'"),
    ],
)
def test_what_has_no_meaning_is_refused(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        SPSA([nn.Parameter(torch.ones(3))], **arguments)


def test_groups_share_the_number_of_directions():
    first, second = ({"params": [nn.Parameter(torch.ones(1))]} for _ in range(2))
    with pytest.raises(ArgumentError, match="directions=2 for one group and 1"):
        SPSA([first, second | {"directions": 2}])
