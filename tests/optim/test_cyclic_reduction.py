"""The periodic solver against Fourier's solution, a dense solve and the kernel's closed form."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from wellposed.optim import _cyclic_reduction
from wellposed.optim._cyclic_reduction import PeriodicSolver, factors

DOUBLE = torch.float64


def solve(tensors, sigma, order=1, dtype=DOUBLE):
    by = factors(sigma, order, dtype)
    return PeriodicSolver(tensors, dtype, by.reach).solve(tensors, by)


def matrix(n, sigma, order):
    """The operator by its definition."""
    identity = torch.eye(n, dtype=DOUBLE)
    laplacian = identity.roll(1, 0) + identity.roll(-1, 0) - 2 * identity
    return identity + (-1) ** order * sigma * torch.linalg.matrix_power(laplacian, order)


@given(
    n=st.integers(1, 40),
    sigma=st.floats(1e-6, 1e4),
    order=st.integers(1, 4),
    seed=st.integers(0, 1000),
)
def test_it_solves_the_equation(n, sigma, order, seed):
    g = torch.randn(n, dtype=DOUBLE, generator=torch.Generator().manual_seed(seed))
    (d,) = solve([g], sigma, order)
    operator = matrix(n, sigma, order)
    norm = torch.linalg.matrix_norm(operator, 2).item()
    torch.testing.assert_close(operator @ d, g, rtol=0, atol=1e-14 * norm)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.complex64])
@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("n", [1, 2, 4096, 4097])
def test_it_agrees_with_fourier_to_rounding(n, order, dtype):
    g = torch.randn(n, generator=torch.Generator().manual_seed(n), dtype=dtype)
    angles = 2 * math.pi * torch.arange(n, dtype=DOUBLE) / n
    symbol = 1 + 3.0 * (2 - 2 * angles.cos()) ** order
    expected = torch.fft.ifft(torch.fft.fft(g.to(torch.complex128)) / symbol)
    (d,) = solve([g], 3.0, order, dtype)
    assert d.dtype == dtype
    assert (d - expected).abs().max() < 16 * torch.finfo(dtype).eps


@pytest.mark.parametrize("sigma", [0.05, 1.0, 100.0])
def test_the_kernel_is_the_closed_form(sigma):
    n = 301
    impulse = torch.zeros(n, dtype=DOUBLE)
    impulse[0] = 1
    (kernel,) = solve([impulse], sigma)
    root = math.sqrt(1 + 4 * sigma)
    r = 2 * sigma / (1 + 2 * sigma + root)
    j = torch.arange(n, dtype=DOUBLE)
    expected = (r**j + r ** (n - j)) / root / (1 - r**n)
    torch.testing.assert_close(kernel, expected, rtol=0, atol=1e-15)


def test_the_mean_is_kept_and_the_maximum_principle_holds():
    g = torch.rand(1000, dtype=DOUBLE, generator=torch.Generator().manual_seed(0))
    previous = g
    for sigma in (0.1, 1.0, 10.0, 1e4):
        (d,) = solve([g], sigma)
        assert d.mean().item() == pytest.approx(g.mean().item(), abs=2e-15)
        assert d.max() < previous.max()
        assert d.min() > previous.min()
        previous = d.clone()
    torch.testing.assert_close(previous, torch.full_like(g, g.mean()), rtol=0, atol=0.05)


def test_each_tensor_is_periodic_by_itself():
    generator = torch.Generator().manual_seed(0)
    shapes = [(3, 4), (0,), (1,), (), (50,), (2, 3, 5)]
    tensors = [torch.randn(s, dtype=DOUBLE, generator=generator) for s in shapes]
    tensors.append(torch.randn(6, 5, dtype=DOUBLE, generator=generator).T)  # not contiguous
    together = [d.clone() for d in solve(tensors, 2.0)]
    for t, d in zip(tensors, together, strict=True):
        assert d.shape == t.shape
        if t.numel() > 0:
            torch.testing.assert_close(d, solve([t], 2.0)[0], rtol=0, atol=1e-15)


def test_what_is_not_finite_stays_where_it_is():
    a, b = torch.ones(5), torch.ones(7)
    a[2] = math.inf
    broken, whole = solve([a, b], 1.0, dtype=torch.float32)
    assert not torch.isfinite(broken).any()
    torch.testing.assert_close(whole, b)


def test_nothing_is_left_from_one_solution_to_the_next():
    by = factors(1.0, 1, DOUBLE)
    g = torch.arange(9, dtype=DOUBLE)
    solver = PeriodicSolver([g], DOUBLE, by.reach)
    first = solver.solve([g], by)[0].clone()
    solver.solve([torch.full_like(g, math.nan)], by)
    assert torch.equal(solver.solve([g], by)[0], first)


def test_the_number_of_passes_is_the_logarithm_of_the_width():
    passes = [len(factors(s, 1, torch.float32).stencils) for s in (0.0, 1.0, 100.0, 1e4)]
    assert passes == [0, 5, 8, 11]


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("block", [512, 1000])
def test_in_blocks_it_is_the_same_to_rounding(monkeypatch, block, order):
    generator = torch.Generator().manual_seed(0)
    tensors = [torch.randn(n, generator=generator, dtype=DOUBLE) for n in (1, 3000, 17, 1024)]
    whole = [t.clone() for t in solve(tensors, 0.05, order)]
    monkeypatch.setattr(_cyclic_reduction, "_BLOCK", block)
    by = factors(0.05, order, DOUBLE)
    solver = PeriodicSolver(tensors, DOUBLE, by.reach)
    assert len(solver.scratch[0]) < len(solver.buffers[0]) / 2
    for a, b in zip(solver.solve(tensors, by), whole, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-15)
    before = [t.clone() for t in tensors]
    again = solver.solve(tensors, by)
    assert all(torch.equal(a, b) for a, b in zip(tensors, before, strict=True))
    for a, b in zip(again, whole, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-15)
