from fractions import Fraction

import pytest
import torch

from wellposed.certify._arithmetic import DOUBLE, EXACT, SINGLE, arithmetic
from wellposed.errors import ArgumentError


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_sums_stay_within_gamma_in_any_order(dtype):
    generator = torch.Generator().manual_seed(0)
    n = 200
    a = torch.randn(n, generator=generator, dtype=torch.float64).to(dtype)
    b = torch.randn(n, generator=generator, dtype=torch.float64).to(dtype)
    exact = sum(Fraction(x) * Fraction(y) for x, y in zip(a.tolist(), b.tolist(), strict=True))
    size = sum(abs(Fraction(x) * Fraction(y)) for x, y in zip(a.tolist(), b.tolist(), strict=True))
    bound = Fraction(arithmetic(dtype).gamma(n)) * size
    for seed in range(5):
        order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
        total = torch.zeros((), dtype=dtype)
        for i in order.tolist():
            total = total + a[i] * b[i]
        assert abs(Fraction(total.item()) - exact) <= bound
        assert abs(Fraction((a[order] @ b[order]).item()) - exact) <= bound


def test_gamma_is_rounded_up():
    for n in (1, 3, 1000):
        unit = Fraction(2) ** -24
        assert Fraction(SINGLE.gamma(n)) >= n * unit / (1 - n * unit)
    assert EXACT.gamma(10**6) == 0
    assert DOUBLE.gamma(0) == 0


def test_a_sum_without_a_useful_bound_is_refused():
    with pytest.raises(ArgumentError, match="in float64"):
        SINGLE.gamma(10**6)


def test_half_precision_is_refused():
    with pytest.raises(ArgumentError, match="found torch\\.float16; convert it first"):
        arithmetic(torch.float16)
