"""The least eigenvalue against dense ones."""

import numpy as np
import pytest
import torch

from wellposed.errors import ArgumentError
from wellposed.linalg import least_eigenvalue


def symmetric(n, least, seed=0):
    """A random symmetric matrix with one eigenvalue of this size below a half circle of them."""
    rng = np.random.default_rng(seed)
    q, _ = np.linalg.qr(rng.standard_normal((n, n)))
    values = np.concatenate([[least], rng.uniform(-0.1, 5.0, n - 1)])
    return torch.tensor(q @ np.diag(values) @ q.T)


@pytest.mark.parametrize("n", [1, 5, 20, 21, 300])
def test_it_is_the_dense_one(n):
    matrix = symmetric(n, -2.0)
    found = least_eigenvalue(lambda v: matrix @ v, torch.zeros(n, dtype=torch.float64))
    assert found.value == pytest.approx(-2.0, rel=1e-2)
    assert found.value >= -2.0 - 1e-12
    assert abs(found.value + 2.0) <= found.residual + 1e-12
    assert found.products <= 220


def test_in_float32_and_without_negative_curvature():
    matrix = torch.diag(torch.linspace(0.5, 3.0, 50))
    found = least_eigenvalue(lambda v: matrix @ v, torch.zeros(50), tolerance=1e-3)
    assert found.value == pytest.approx(0.5, rel=1e-2)


def test_the_same_seed_gives_the_same_value():
    matrix = symmetric(60, -1.0)
    like = torch.zeros(60, dtype=torch.float64)
    first, second = (least_eigenvalue(lambda v: matrix @ v, like, seed=3) for _ in range(2))
    assert first == second


def test_out_of_products_it_says_how_good_the_value_is():
    matrix = torch.diag(torch.linspace(-1.0, 1.0, 4000, dtype=torch.float64) ** 9)
    found = least_eigenvalue(
        lambda v: matrix @ v, torch.zeros(4000, dtype=torch.float64), tolerance=1e-12, restarts=1
    )
    assert found.residual > 1e-6
    assert found.value >= -1.0
    assert found.products <= 45


def test_what_is_not_finite_is_refused():
    with pytest.raises(ArgumentError, match="product 1 with the operator is not finite"):
        least_eigenvalue(lambda v: v * torch.nan, torch.zeros(30))
    with pytest.raises(ArgumentError, match="no coordinates"):
        least_eigenvalue(lambda v: v, torch.zeros(0))
