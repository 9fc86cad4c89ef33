import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, binom, binomtest, norm

from wellposed.errors import ArgumentError
from wellposed.stats import clopper_pearson, wilson

counts = st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
SHARES = np.linspace(0.0005, 0.9995, 1000)


def coverage(interval, n, level):
    """The probability that the interval holds the share, at each share: summed, not sampled."""
    bounds = np.array([interval(k, n, level) for k in range(n + 1)])
    inside = (bounds[:, :1] <= SHARES) & (bounds[:, 1:] >= SHARES)
    return (binom.pmf(np.arange(n + 1)[:, None], n, SHARES) * inside).sum(0)


@given(counts=counts, level=st.sampled_from([0.5, 0.9, 0.95, 0.999]))
def test_wilson_solves_the_score_equation(counts, level):
    k, n = counts
    for p in wilson(k, n, level):
        score = (k / n - p) ** 2
        assert score == pytest.approx(norm.ppf((1 + level) / 2) ** 2 * p * (1 - p) / n, abs=1e-12)


@given(counts=counts, level=st.sampled_from([0.5, 0.9, 0.95, 0.999]))
def test_both_are_those_of_scipy(counts, level):
    k, n = counts
    test = binomtest(k, n)
    for ours, method in ((wilson, "wilson"), (clopper_pearson, "exact")):
        found = test.proportion_ci(level, method)
        assert ours(k, n, level) == pytest.approx((found.low, found.high), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("interval", [wilson, clopper_pearson])
def test_known_values(interval):
    # Brown, Cai and DasGupta (2001) give the forms; R's binom package the digits, for 10 of 100.
    right = {
        wilson: (0.05522914, 0.17436566),
        clopper_pearson: (0.04900469, 0.17622260),
    }
    assert interval(10, 100) == pytest.approx(right[interval], abs=5e-9)


@given(counts=counts)
def test_bounds_hold_the_share_and_stay_within_0_and_1(counts):
    k, n = counts
    for interval in (wilson, clopper_pearson):
        low, high = interval(k, n)
        assert 0 <= low <= k / n <= high <= 1


@given(counts=counts)
def test_right_and_wrong_are_mirror_images(counts):
    k, n = counts
    for interval in (wilson, clopper_pearson):
        low, high = interval(k, n)
        assert interval(n - k, n) == pytest.approx((1 - high, 1 - low), abs=1e-12)


@pytest.mark.parametrize("n", [1, 7, 30, 150])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_clopper_pearson_covers_every_share_at_its_level(n, level):
    assert coverage(clopper_pearson, n, level).min() >= level


@pytest.mark.parametrize("n", [10, 30, 150])
def test_wilson_covers_on_average_and_nowhere_much_less(n):
    covered = coverage(wilson, n, 0.95)
    assert covered.mean() == pytest.approx(0.95, abs=0.006)
    assert covered.min() > 0.83


def test_clopper_pearson_is_made_of_quantiles_of_the_beta_distribution():
    assert clopper_pearson(3, 12, 0.9) == pytest.approx(
        (beta.ppf(0.05, 3, 10), beta.ppf(0.95, 4, 9))
    )


@pytest.mark.parametrize("interval", [wilson, clopper_pearson])
def test_what_is_no_count_or_level_is_refused(interval):
    with pytest.raises(ArgumentError, match="at least one case, got n=0"):
        interval(0, 0)
    for k in (-1, 6):
        with pytest.raises(ArgumentError, match=f"got k={k} of n=5"):
            interval(k, 5)
    for level in (0.0, 1.0, 95):
        with pytest.raises(ArgumentError, match="between 0 and 1, got level"):
            interval(1, 5, level)
