"""The rate, or the bias, that each member has on a quadratic, against the formula.

Members whose formula is tested in a file of their own: EntropySGD, HamiltonJacobi, LasryLions,
BackwardEuler, Heat, Extragradient, Parle, PolyakRuppert, AcceleratedSGD, and those with closures.
"""

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from wellposed.optim import (
    ASAM,
    SAM,
    SGD,
    DiLoCo,
    ElasticSGD,
    GradientNoise,
    LaplacianSmoothing,
    Lookahead,
    SlowMo,
)

H, LAM = 0.1, 3.0


def descend(make, start, curvature, steps):
    """The points after each step, one row each, on the sum of curvature x^2 / 2."""
    p = nn.Parameter(torch.tensor(start, dtype=torch.float64))
    optimizer = make([p])
    found = []
    for _ in range(steps):
        p.grad = torch.as_tensor(curvature, dtype=torch.float64) * p.detach()
        optimizer.step()
        found.append(p.detach().clone())
    return torch.stack(found).numpy()


@pytest.mark.parametrize("eta", [0.5, 1.5])
def test_lookahead_contracts_by_its_fraction_of_k_steps(eta):
    k = 4
    make = partial(Lookahead, lr=H, momentum=0, nesterov=False, inner_steps=k, outer_lr=eta)
    found = descend(make, [1.0], LAM, 5 * k)[k - 1 :: k, 0]
    factor = 1 - eta * (1 - (1 - H * LAM) ** k)
    np.testing.assert_allclose(found, factor ** np.arange(1, 6), rtol=1e-12)


@pytest.mark.parametrize("method", ["SlowMo", "DiLoCo"])
def test_outer_momentum_has_the_spectral_radius_of_its_recursion(method):
    k, eta, m = 4, 0.7, 0.6
    a = 1 - (1 - H * LAM) ** k  # what a cycle takes of x
    if method == "SlowMo":  # v <- m v + a x;  x <- x - eta v
        make = partial(SlowMo, lr=H, momentum=0, nesterov=False)
        matrix = np.array([[1 - eta * a, -eta * m], [a, m]])
    else:  # Nesterov: x <- x - eta (a x + m v)
        make = partial(DiLoCo, lr=H, base=SGD)
        matrix = np.array([[1 - eta * a * (1 + m), -eta * m * m], [a, m]])
    make = partial(make, inner_steps=k, outer_lr=eta, outer_momentum=m)
    found = descend(make, [1.0], LAM, 60 * k)[k - 1 :: k, 0]
    expected = [(np.linalg.matrix_power(matrix, n) @ [1.0, 0.0])[0] for n in range(1, 61)]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-15)
    radius = abs(np.linalg.eigvals(matrix)).max()
    envelope = np.abs(found).reshape(6, 10).max(1)
    rate = np.polyfit(np.arange(6) * 10, np.log(envelope), 1)[0]
    assert rate == pytest.approx(np.log(radius), abs=0.03)


def test_elastic_springs_contract_the_disagreement_and_leave_the_mean_alone():
    rho, params = 2.0, [nn.Parameter(torch.tensor([v], dtype=torch.float64)) for v in (1.0, 3.0)]
    optimizer = ElasticSGD(
        [{"params": [p], "replica": a} for a, p in enumerate(params)],
        lr=H, momentum=0, nesterov=False, inner_steps=1, rho=rho,
    )  # fmt: skip
    means, gaps = [2.0], [2.0]
    for _ in range(6):
        for p in params:
            p.grad = LAM * p.detach()
        optimizer.step()
        means.append((params[0] + params[1]).item() / 2)
        gaps.append((params[1] - params[0]).item())
    np.testing.assert_allclose(means, 2 * (1 - H * LAM) ** np.arange(7), rtol=1e-12)
    factor = (1 - H * LAM) / (1 + rho)
    np.testing.assert_allclose(gaps, 2 * factor ** np.arange(7), rtol=1e-9)


def test_sam_ends_in_a_cycle_of_the_stated_size_around_a_minimum():
    """x -> (1 - h lam) x - h lam rho sign x comes to rest at |x| = h lam rho / (2 - h lam)."""
    rho = 0.05
    make = partial(SAM, lr=H, momentum=0, nesterov=False, rho=rho)
    found = descend(make, [1.0], LAM, 400)[1::2, 0]
    size = H * LAM * rho / (2 - H * LAM)
    np.testing.assert_allclose(np.abs(found[-10:]), size, rtol=1e-9)
    assert np.all(np.sign(found[-10:-1]) == -np.sign(found[-9:]))


def test_asam_contracts_as_if_the_curvature_were_larger():
    rho = 0.5  # in one dimension y = x + rho |x| sign(x)
    make = partial(ASAM, lr=H, momentum=0, nesterov=False, rho=rho)
    found = descend(make, [1.0], LAM, 20)[1::2, 0]
    np.testing.assert_allclose(found, (1 - H * LAM * (1 + rho)) ** np.arange(1, 11), rtol=1e-9)


def test_smoothing_slows_each_frequency_by_its_symbol():
    n, sigma, k = 32, 1.5, 5
    wave = np.cos(2 * np.pi * k * np.arange(n) / n)
    make = partial(LaplacianSmoothing, lr=H, momentum=0, nesterov=False, sigma=sigma)
    found = descend(make, wave, LAM, 7)
    symbol = 1 + 2 * sigma * (1 - np.cos(2 * np.pi * k / n))
    expected = (1 - H * LAM / symbol) ** np.arange(1, 8)[:, None] * wave
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_gradient_noise_leaves_the_mean_and_adds_the_stated_variance():
    """40,000 chains; the variance has a relative standard error of sqrt(2 / n), 0.7 %."""
    steps, eta, n = 30, 0.3, 40_000
    make = partial(GradientNoise, lr=H, momentum=0, nesterov=False, eta=eta)
    found = descend(make, [1.0] * n, LAM, steps)[-1]
    factor = 1 - H * LAM
    shares = [factor ** (2 * (steps - 1 - t)) * eta / (1 + t) ** 0.55 for t in range(steps)]
    variance = H**2 * sum(shares)
    assert found.var() == pytest.approx(variance, rel=4 * (2 / n) ** 0.5)
    assert abs(found.mean() - factor**steps) < 4 * (variance / n) ** 0.5
