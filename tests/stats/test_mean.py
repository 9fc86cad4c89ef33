import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from jaxtyping import TypeCheckError
from scipy.stats import t, ttest_1samp, ttest_rel

from wellposed.errors import ArgumentError
from wellposed.stats import mean_interval, paired_difference

values = st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=20)


def test_mean_interval_of_a_textbook_case():
    # 1, 2, 3, 4: mean 2.5, s = sqrt(5/3), t(3, 0.975) = 3.18245.
    half = 3.182446305 * np.sqrt(5 / 3) / 2
    assert mean_interval([1, 2, 3, 4]) == pytest.approx((2.5 - half, 2.5 + half), rel=1e-8)


@given(values=values, level=st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_mean_interval_is_the_one_of_students_test(values, level):
    assume(np.std(values, ddof=1) > 1e-6)  # scipy warns of nearly equal values
    low, high = ttest_1samp(values, 0.0).confidence_interval(level)
    assert mean_interval(values, level) == pytest.approx((low, high), rel=1e-9, abs=1e-9)


def test_paired_difference_is_the_one_of_the_paired_test():
    generator = np.random.default_rng(0)
    a, b = generator.normal(size=(2, 9))
    low, high = ttest_rel(a, b).confidence_interval(0.9)
    assert paired_difference(a, b, 0.9) == pytest.approx((low, high))


@given(values=values)
def test_what_both_sides_share_cancels(values):
    shared = np.arange(len(values)) * 100.0
    one = paired_difference(np.add(values, shared), shared)
    assert one == pytest.approx(mean_interval(values), abs=1e-6)


def test_equal_values_leave_no_width():
    assert mean_interval([0.25] * 5) == (0.25, 0.25)


@pytest.mark.parametrize("n", [2, 3, 10])
def test_coverage_on_normal_values_is_the_level(n):
    trials, level = 20_000, 0.9
    x = np.random.default_rng(1).normal(1.0, 2.0, size=(trials, n))
    half = t.ppf((1 + level) / 2, n - 1) * x.std(1, ddof=1) / np.sqrt(n)
    sampled = np.array([mean_interval(row, level) for row in x[:500]])
    np.testing.assert_allclose(sampled[:, 1] - sampled[:, 0], 2 * half[:500])
    covered = (abs(x.mean(1) - 1.0) <= half).mean()
    assert covered == pytest.approx(level, abs=4 * np.sqrt(level * (1 - level) / trials))


def test_paired_difference_covers_where_seeds_differ_more_than_methods():
    generator = np.random.default_rng(2)
    hits, trials = 0, 3000
    for _ in range(trials):
        seed = generator.normal(0, 10, size=5)
        a, b = seed + generator.normal(0.3, 0.1, 5), seed + generator.normal(0.0, 0.1, 5)
        low, high = paired_difference(a, b)
        hits += low <= 0.3 <= high
        assert high - low < 2
    assert hits / trials == pytest.approx(0.95, abs=4 * np.sqrt(0.95 * 0.05 / trials))


@pytest.mark.parametrize("few", [[], [1.0]])
def test_fewer_than_two_values_are_refused(few):
    with pytest.raises(ArgumentError, match=r"at least 2 values in a row, .*; run more seeds"):
        mean_interval(few)


def test_tables_are_refused():
    with pytest.raises(
        (ArgumentError, TypeCheckError), match=r"in a row, got shape \(1, 2\)|Actual"
    ):
        mean_interval([[1.0, 2.0]])


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_not_finite_is_refused(bad):
    with pytest.raises(ArgumentError, match="finite values, and 1 of 2 are not"):
        mean_interval([1.0, bad])


def test_sides_of_different_length_are_refused():
    with pytest.raises(ArgumentError, match="on both sides, got 2 and 3; run both"):
        paired_difference([1, 2], [1, 2, 3])


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_levels_outside_0_and_1_are_refused(level):
    with pytest.raises(ArgumentError, match=r"try 0\.95"):
        mean_interval([1, 2], level)
