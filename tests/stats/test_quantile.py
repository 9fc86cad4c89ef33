import numpy as np
import pytest
from scipy.stats import binom

from wellposed.errors import ArgumentError
from wellposed.stats import quantile_interval


def test_known_ranks():
    # For the median of 10 at 0.95: the 2nd and the 9th value (coverage 0.9785).
    assert quantile_interval(np.arange(1.0, 11)[::-1]) == (2, 9)
    # Of 100: the 40th and the 61st.
    assert quantile_interval(np.arange(1.0, 101)) == (40, 61)


def test_too_few_values_leave_an_end_open():
    assert quantile_interval(np.array([1.0, 2.0, 3.0])) == (-np.inf, np.inf)
    assert quantile_interval(np.arange(50.0), 0.99)[1] == np.inf


@pytest.mark.parametrize(("n", "share", "level"), [(7, 0.5, 0.5), (20, 0.3, 0.9), (60, 0.9, 0.95)])
def test_it_covers_at_least_at_its_level_and_no_shorter_one_does(n, share, level):
    low, high = quantile_interval(np.arange(1.0, n + 1), share, level)
    tail = (1 - level) / 2
    # x[l] <= q unless fewer than l of n lie below q; q <= x[u] unless u or more do
    assert low == -np.inf or binom.cdf(low - 1, n, share) <= tail < binom.cdf(low, n, share)
    assert high == np.inf or binom.sf(high - 1, n, share) <= tail < binom.sf(high - 2, n, share)


def test_coverage_by_simulation():
    draws = np.random.default_rng(0).standard_exponential((1000, 40))
    ends = np.array([quantile_interval(row) for row in draws])
    assert np.mean((ends[:, 0] <= np.log(2)) & (ends[:, 1] >= np.log(2))) >= 0.935


def test_what_is_no_quantile_is_refused():
    with pytest.raises(ArgumentError, match="got share=1"):
        quantile_interval(np.ones(3), 1)
    with pytest.raises(ArgumentError, match=r"got shape \(0,\)"):
        quantile_interval(np.ones(0))
