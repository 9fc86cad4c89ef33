"""Traces against exact ones, and what vectors of their own for each part do to the variance."""

import math

import numpy as np
import pytest
import torch

from wellposed.errors import ArgumentError
from wellposed.linalg import curvature, lanczos, spectrum, trace
from wellposed.linalg._trace import apart_from

N = 60


def matrix(seed):
    """A symmetric matrix with a common part and one of its own."""
    generator = torch.Generator().manual_seed(seed)
    own = torch.randn(N, N, dtype=torch.float64, generator=generator)
    common = torch.diag(torch.linspace(0, 20, N, dtype=torch.float64))
    return common + 0.1 * (own + own.T)


PARTS = [matrix(seed) for seed in range(8)]
SHARES = [0.2, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1]
WHOLE = sum(c * a for c, a in zip(SHARES, PARTS, strict=True))
LIKE = torch.zeros(N, dtype=torch.float64)


def operator(a):
    return lambda v: a @ v


def parts():
    return [(c, operator(a)) for c, a in zip(SHARES, PARTS, strict=True)]


def start(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(N, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize("steps", [0, 5])
def test_it_is_unbiased_with_parts_and_beside_a_space(steps):
    space = lanczos(operator(WHOLE), start(), steps=steps) if steps else None
    found = trace(parts(), LIKE, beside=space, probes=4000)
    assert abs(found.value - float(WHOLE.trace())) < 4 * found.error
    assert found.error < 0.005 * found.value


def test_vectors_of_their_own_divide_the_variance():
    # Sums of squares of the shares: 0.14 instead of 1; the own parts add little.
    one = trace([(1.0, operator(WHOLE))], LIKE, probes=4000)
    each = trace(parts(), LIKE, probes=4000)
    assert (each.error / one.error) ** 2 == pytest.approx(0.14, rel=0.15)


def test_a_space_takes_the_large_values_out_of_the_variance():
    large = torch.diag(torch.cat([torch.tensor([500.0, 300.0]), torch.ones(N - 2)]).double())
    space = lanczos(operator(large), start(), steps=4)
    plain = trace([(1.0, operator(large))], LIKE, probes=200)
    beside = trace([(1.0, operator(large))], LIKE, beside=space, probes=200)
    assert plain.error > 10
    assert beside.error < 1e-6
    assert beside.value == pytest.approx(800 + N - 2)


def test_a_space_that_is_everything_leaves_nothing_to_sample():
    space = lanczos(operator(PARTS[0]), start(), steps=N)
    found = trace([(1.0, operator(PARTS[0]))], LIKE, beside=space)
    assert found.value == pytest.approx(float(PARTS[0].trace()))
    assert found.error == 0


def test_the_same_seed_for_the_space_and_the_probes_is_harmless():
    # Were the probe the space's own first vector, nothing but rounding would be left of it.
    values = torch.linspace(-1, 1, N, dtype=torch.float64)
    space = lanczos(operator(torch.diag(values)), start(3), steps=6)
    first = torch.randn(N, dtype=torch.float64, generator=apart_from(3, "density"))
    assert float(first @ start(3)) ** 2 < 0.2 * float(first @ first) * float(start(3) @ start(3))
    found = spectrum(operator(torch.diag(values)), space, probes=1, depth=20, extra=0, seed=3)
    assert found.square == pytest.approx(float(values.square().sum()), rel=0.5)


def test_the_interval_holds_as_often_as_it_says():
    # 400 draws at 90 %: outside of 20 to 62 misses has probability below 2e-3.
    true = float(WHOLE.trace())
    missed = 0
    for seed in range(400):
        low, high = trace(parts(), LIKE, probes=5, seed=seed).interval(0.9)
        missed += not low <= true <= high
    assert 20 <= missed <= 62


def test_the_parts_of_a_curvature_add_up_to_it():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.Tanh(), torch.nn.Linear(5, 3))
    model.double()
    x, y = torch.randn(10, 4, dtype=torch.float64), torch.randint(3, (10,))
    loss = torch.nn.CrossEntropyLoss(reduction="none")
    product = curvature(model, loss, [(x[:3], y[:3]), (x[3:], y[3:])])
    v = torch.randn(product.n, dtype=torch.float64)
    together = sum(share * part(v) for share, part in product.parts)
    torch.testing.assert_close(together, product(v))
    assert [share for share, _ in product.parts] == [0.3, 0.7]
    exact = sum(float(product(row)[i]) for i, row in enumerate(torch.eye(product.n).double()))
    found = trace(product.parts, v, probes=300)
    assert abs(found.value - exact) < 4 * found.error


def test_one_sample_has_no_error_and_bad_numbers_are_refused():
    one = trace(parts(), LIKE, probes=1)
    assert math.isnan(one.error)
    assert one.interval() == (-math.inf, math.inf)
    assert isinstance(one.samples, np.ndarray)
    with pytest.raises(ArgumentError, match="at least one sample"):
        trace(parts(), LIKE, probes=0)
    with pytest.raises(ArgumentError, match="level is in"):
        one.interval(1.0)
