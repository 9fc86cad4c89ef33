import numpy as np
import pytest
from scipy.stats import ttest_ind

from wellposed.errors import ArgumentError
from wellposed.stats import welch_difference


@pytest.mark.parametrize("level", [0.9, 0.99])
@pytest.mark.parametrize(("n", "m", "scale"), [(2, 7, 1.0), (30, 4, 100.0), (8, 8, 1e-6)])
@pytest.mark.wrong_types
def test_agrees_with_scipy(n, m, scale, level):
    rng = np.random.default_rng(n)
    a, b = rng.normal(size=n), 3 + scale * rng.normal(size=m)
    low, high = welch_difference(a, b, level)
    oracle = ttest_ind(a, b, equal_var=False).confidence_interval(level)
    assert (low, high) == pytest.approx((oracle.low, oracle.high), rel=1e-9)


@pytest.mark.wrong_types
def test_coverage_with_unequal_scatters():
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(1000):
        low, high = welch_difference(rng.normal(2, 5, 6), rng.normal(0, 1, 12), 0.9)
        covered += low <= 2 <= high
    assert 0.87 < covered / 1000 < 0.93  # three standard errors


def test_equal_values_leave_no_doubt():
    assert welch_difference([1.0, 1.0], [3.0, 3.0, 3.0]) == (-2.0, -2.0)


@pytest.mark.parametrize(("a", "b"), [([1.0], [1.0, 2.0]), ([1.0, 2.0], [float("nan"), 1.0])])
def test_what_has_no_interval_is_refused(a, b):
    with pytest.raises(ArgumentError):
        welch_difference(a, b)
