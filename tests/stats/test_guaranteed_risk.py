import math

import numpy as np
import pytest
from scipy.stats import binom

from wellposed.errors import ArgumentError
from wellposed.stats import guaranteed_selection, guaranteed_selections


def sample(n, seed, base=0.2):
    """Above the threshold t, the error is base * (1 - t): c is uniform, wrong 2 base (1 - c)."""
    rng = np.random.default_rng(seed)
    c = rng.random(n)
    return c, rng.random(n) < 2 * base * (1 - c)


def test_bounds_solve_the_binomial_equation():
    for found in guaranteed_selections(*sample(400, 0), level=0.9, grid=4):
        assert binom.cdf(found.wrong, found.answered, found.bound) == pytest.approx(0.1 / 4)


def test_the_last_answers_everything():
    c, x = sample(300, 1)
    found = guaranteed_selections(c, x)
    assert [s.answered for s in found] == [300 * i // 20 for i in range(1, 21)]
    assert found[-1].threshold == -math.inf
    assert found[-1].wrong == x.sum()
    assert found[4].wrong == x[c > found[4].threshold].sum()


def test_promises_are_kept_all_at_once():
    broken, used = 0, 0
    for seed in range(1000):
        found = guaranteed_selections(*sample(300, seed), level=0.9)
        right = [0.2 * (1 - max(s.threshold, 0)) for s in found]
        broken += any(r > s.bound for r, s in zip(right, found, strict=True))
        used += guaranteed_selection(found, 0.15) is not None
    assert broken <= 100 + 2 * 10
    assert used > 500  # a bound that promises nothing would be kept too


def test_takes_the_largest_that_is_good_enough():
    found = guaranteed_selections(*sample(5000, 2))
    best = guaranteed_selection(found, 0.12)
    assert best.bound <= 0.12
    assert all(s.bound > 0.12 for s in found if s.coverage > best.coverage)
    assert guaranteed_selection(found, 1e-6) is None
    assert guaranteed_selection(found, 0.9) == found[-1]


def test_equal_confidences_select_all_or_nothing():
    found = guaranteed_selections(np.full(50, 0.5), np.arange(50) % 5 == 0)
    assert [s.answered for s in found[:-1]] == [0] * 19
    assert found[0].bound == 1
    assert guaranteed_selection(found, 0.6) == found[-1]


def test_says_what_is_wrong():
    c, x = np.array([0.5, 0.6]), np.array([0, 2])
    with pytest.raises(ArgumentError, match="wrong or not"):
        guaranteed_selections(c, x)
    with pytest.raises(ArgumentError, match="at least one threshold"):
        guaranteed_selections(c, c > 1, grid=0)
    with pytest.raises(ArgumentError, match="level=2"):
        guaranteed_selections(c, c > 1, level=2)
    with pytest.raises(ArgumentError, match="acceptable error"):
        guaranteed_selection((), 0)
