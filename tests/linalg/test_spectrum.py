"""Trace and density against exact spectra."""

import math

import numpy as np
import pytest
import torch

from wellposed.errors import ArgumentError
from wellposed.linalg import lanczos, random_start, spectrum

VALUES = np.sort(np.concatenate([-np.geomspace(1e-3, 1, 40), np.geomspace(1e-4, 1, 250),
                                 np.linspace(5, 50, 10)]))  # fmt: skip


def mixed(values=VALUES):
    """A matrix with these eigenvalues and no special basis."""
    n = len(values)
    generator = torch.Generator().manual_seed(0)
    q, _ = torch.linalg.qr(torch.randn(n, n, dtype=torch.float64, generator=generator))
    matrix = q @ torch.diag(torch.tensor(values)) @ q.T
    return lambda v: matrix @ v


def space(product, steps, n=300, seed=0):
    return lanczos(product, random_start(torch.zeros(n, dtype=torch.float64), seed), steps=steps)


def distance(found, values=VALUES):
    """Wasserstein-1 distance to the exact spectrum."""
    x = np.sort(np.concatenate([found.nodes, values]))
    exact = np.searchsorted(values, x, side="right") / len(values)
    share = found.below(x) / found.counts.sum()
    return float(np.abs(share - exact)[:-1] @ np.diff(x))


def test_trace_and_density_are_near_the_exact_ones():
    product = mixed()
    found = spectrum(product, space(product, 25), probes=6, depth=12, extra=10)
    assert found.counts.sum() == pytest.approx(300)
    assert found.products == 82
    assert abs(found.trace.value - VALUES.sum()) < 4 * found.trace.error
    assert found.trace.error < 0.01 * VALUES.sum()
    assert found.square == pytest.approx((VALUES**2).sum(), rel=1e-3)
    mass = -VALUES[VALUES < 0].sum() / np.abs(VALUES).sum()
    assert found.negative_mass == pytest.approx(mass, rel=0.15)
    dimension = np.abs(VALUES).sum() ** 2 / (VALUES**2).sum()
    assert found.effective_dimension() == pytest.approx(dimension, rel=0.05)
    damped = (np.abs(VALUES) / (np.abs(VALUES) + 1)).sum()
    assert found.effective_dimension(1.0) == pytest.approx(damped, rel=0.1)
    assert distance(found) < 0.02 * np.abs(VALUES).mean()


def test_deflation_beats_plain_quadrature_and_plain_signs():
    product = mixed()
    plain = space(product, 1)
    deep = space(product, 20)
    one = spectrum(product, plain, probes=8, depth=10)
    other = spectrum(product, deep, probes=6, depth=10)
    assert other.trace.error < one.trace.error / 3
    assert distance(other) < distance(one) / 2


def test_the_interval_of_the_trace_holds_as_often_as_it_says():
    # 200 draws at 90 %: more than 34 misses have probability below 1e-3.
    values = np.concatenate([np.linspace(-0.1, 1, 50), [10.0, 20.0]])
    product = mixed(values)
    ritz = space(product, 4, 52)
    missed = 0
    for seed in range(200):
        low, high = spectrum(product, ritz, probes=5, depth=1, seed=seed).trace.interval(0.9)
        missed += not low <= values.sum() <= high
    assert 5 <= missed <= 34


def test_the_density_does_not_depend_on_the_parity_of_the_depth():
    # Nearly all values are near 0, where the rules of one depth lie in the middle or on both
    # sides: their error varies by 1.5 over these depths, that of the average by 1.16.
    near = np.random.default_rng(0).normal(0, 0.002, 900)
    beside = [-np.geomspace(0.01, 0.4, 50), np.geomspace(0.01, 4, 50)]
    values = np.sort(np.concatenate([near, *beside]))

    def product(v):
        return torch.tensor(values) * v

    apart = []
    for depth in range(16, 24):
        founds = [
            spectrum(product, space(product, 4, 1000, s), depth=depth, seed=s) for s in range(10)
        ]
        apart.append(np.sqrt(np.mean([distance(f, values) ** 2 for f in founds])))
    assert max(apart) < 1.3 * min(apart)
    assert max(apart) < 0.4 * np.abs(values).mean()


def test_of_the_identity_and_of_rank_one():
    ritz = space(lambda v: v, 5)
    found = spectrum(lambda v: v, ritz, probes=2, depth=3)
    assert found.trace.value == pytest.approx(300, rel=1e-12)
    assert found.effective_dimension() == pytest.approx(300, rel=1e-12)
    assert found.negative_mass == 0
    u = random_start(torch.zeros(300, dtype=torch.float64), 9)
    rank = spectrum(lambda v: 7 * (u @ v) * u, space(lambda v: 7 * (u @ v) * u, 5), probes=2)
    assert rank.trace.value == pytest.approx(7, rel=1e-10)
    assert rank.effective_dimension() == pytest.approx(1, rel=1e-8)


def test_a_space_that_is_everything_leaves_nothing_to_sample():
    values = np.arange(1.0, 9)
    product = mixed(values)
    found = spectrum(product, space(product, 20, 8), probes=3)
    assert (found.products, found.trace.error) == (0, 0.0)
    assert found.trace.value == pytest.approx(36)
    np.testing.assert_allclose(found.below(np.array([0.5, 4.5, 99.0])), [0, 4, 8])
    assert found.trace.interval() == pytest.approx((36, 36))


def test_the_density_integrates_to_the_number_of_eigenvalues():
    product = mixed()
    found = spectrum(product, space(product, 10), probes=2, depth=5)
    x = np.linspace(-20, 80, 4001)
    total = found.density(x, np.full(x.shape, 0.5)).sum() * (x[1] - x[0])
    assert total == pytest.approx(300, rel=1e-3)


def test_one_sample_has_no_error_and_bad_numbers_are_refused():
    product = mixed()
    ritz = space(product, 3)
    one = spectrum(product, ritz, probes=1, depth=1, extra=0)
    assert math.isnan(one.trace.error)
    assert one.trace.interval() == (-math.inf, math.inf)
    with pytest.raises(ArgumentError, match="at least one probe"):
        spectrum(product, ritz, probes=0)
    with pytest.raises(ArgumentError, match="level is in"):
        one.trace.interval(1.0)
