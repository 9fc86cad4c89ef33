import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import norm

from wellposed.errors import ArgumentError
from wellposed.stats import tango
from wellposed.stats._tango import _likely

cases = st.tuples(st.integers(0, 30), st.integers(0, 30), st.integers(0, 200)).filter(
    lambda t: sum(t) > 0
)


@given(cases=cases, level=st.sampled_from([0.8, 0.95, 0.99]))
def test_0_is_outside_just_where_mcnemar_rejects(cases, level):
    a, b, both = cases
    low, high = tango(a, b, a + b + both, level)
    margin = (a - b) ** 2 - norm.ppf((1 + level) / 2) ** 2 * (a + b)
    if abs(margin) > 1e-6:
        assert (low > 0 or high < 0) == (margin > 0)
    assert -1 <= low <= (a - b) / (a + b + both) <= high <= 1


@given(cases=cases)
def test_the_sides_are_mirror_images(cases):
    a, b, both = cases
    low, high = tango(a, b, a + b + both)
    assert tango(b, a, a + b + both) == pytest.approx((-high, -low), abs=1e-9)


@pytest.mark.parametrize(
    ("a", "b", "n", "delta"), [(6, 2, 44, 0.05), (0, 3, 20, -0.3), (4, 4, 9, 0)]
)
def test_the_nuisance_probability_is_the_most_likely_one(a, b, n, delta):
    def loss(q):
        both = n - a - b
        shares = ((q + delta, a), (q, b), (1 - 2 * q - delta, both))
        if any(p < 0 or (p == 0 and k) for p, k in shares):
            return 1e9
        return -sum(k * math.log(p) for p, k in shares if k)

    ends = (max(0, -delta), (1 - delta) / 2)
    right = minimize_scalar(loss, bounds=ends, method="bounded", options={"xatol": 1e-10}).x
    assert _likely(a, b, n, delta) == pytest.approx(right, abs=1e-5)


def test_no_difference_seen_leaves_the_share_that_wilson_would():
    # Tango: for 0 and 0 of n the ends are +-z^2 / (n + z^2).
    z2 = norm.ppf(0.975) ** 2
    assert tango(0, 0, 100) == pytest.approx((-z2 / (100 + z2), z2 / (100 + z2)), abs=1e-9)


@pytest.mark.parametrize(("p", "q", "n"), [(0.1, 0.1, 60), (0.15, 0.03, 100), (0.02, 0.01, 200)])
def test_it_covers_at_its_level(p, q, n):
    draws = np.random.default_rng(0).multinomial(n, [p, q, 1 - p - q], size=1000)
    found = {(a, b): tango(a, b, n) for a, b in {(int(a), int(b)) for a, b, _ in draws}}
    covered = [found[int(a), int(b)] for a, b, _ in draws]
    share = np.mean([low <= p - q <= high for low, high in covered])
    assert 0.93 <= share <= 0.98  # exactly 0.95 leaves this with probability 0.005


def test_what_is_no_count_is_refused():
    with pytest.raises(ArgumentError, match="got 3 and 2 of n=4"):
        tango(3, 2, 4)
    with pytest.raises(ArgumentError, match="got level=2"):
        tango(1, 2, 4, 2)
