from itertools import permutations

import numpy as np
import pytest

from wellposed.errors import ArgumentError
from wellposed.stats import risk_coverage


def sample(n, seed, base=0.2):
    """Confidences c, uniform, and answers that are wrong with probability base * 2 (1 - c)."""
    rng = np.random.default_rng(seed)
    c = rng.random(n)
    return c, rng.random(n) < 2 * base * (1 - c)


def test_by_hand():
    found = risk_coverage(np.array([0.2, 0.9, 0.5, 0.7]), np.array([1, 0, 0, 1]))
    assert found.confidence.tolist() == [0.9, 0.7, 0.5, 0.2]
    assert found.risk == pytest.approx([0, 1 / 2, 1 / 3, 1 / 2])
    assert found.coverage.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert found.area == pytest.approx((1 / 2 + 1 / 3 + 1 / 2) / 4)
    assert found.random == 0.5
    assert found.ideal == pytest.approx((1 / 3 + 1 / 2) / 4)


def test_ties_are_the_mean_over_their_orders():
    c, x = np.array([0.9, 0.5, 0.5, 0.5, 0.1]), np.array([0, 1, 0, 0, 1])
    areas = []
    for order in permutations([1, 0, 0]):
        distinct = risk_coverage(np.array([0.9, 0.5, 0.4, 0.3, 0.1]), np.array([0, *order, 1]))
        areas.append(distinct.area)
    assert risk_coverage(c, x).area == pytest.approx(np.mean(areas))


def test_the_area_has_its_closed_form():
    # risk of the share t most confident: base * t, so the area is base / 2
    found = risk_coverage(*sample(200_000, 0))
    assert found.area == pytest.approx(0.1, rel=0.02)
    assert found.random == pytest.approx(0.2, rel=0.02)


def test_random_orders_have_the_moments_of_all_orders():
    c, x = np.arange(6.0), np.array([1, 0, 0, 1, 0, 0])
    areas = [risk_coverage(c, np.array(order)).area for order in permutations(x)]
    found = risk_coverage(c, x)
    assert found.random == pytest.approx(np.mean(areas))
    assert found.null_deviation == pytest.approx(np.std(areas))
    null = found.null(repeats=4000)
    assert null.mean == pytest.approx(np.mean(areas), rel=0.02)
    assert null.values.std() == pytest.approx(np.std(areas), rel=0.04)


@pytest.mark.parametrize(("base", "least"), [(0.2, 0.95), (0.05, 0.94), (0.02, 0.93)])
def test_the_interval_covers_at_its_level(base, least):
    covered = 0
    for seed in range(1000):
        low, high = risk_coverage(*sample(1000, seed, base)).interval(0.95)
        covered += low <= base / 2 <= high
    assert covered / 1000 >= least - 2 * np.sqrt(least * (1 - least) / 1000)


def test_the_influence_of_an_example_is_that_of_leaving_it_out():
    c, x = sample(400, 0)
    whole = risk_coverage(c, x)
    left = [risk_coverage(np.delete(c, i), np.delete(x, i)).area for i in range(400)]
    jackknife = np.sqrt(399 / 400 * ((np.array(left) - np.mean(left)) ** 2).sum())
    low, high = whole.interval()
    assert np.log(high / low) / 2 / 1.959964 * whole.area == pytest.approx(jackknife, rel=0.02)


def test_one_example_and_no_error():
    assert risk_coverage(np.array([0.5]), np.array([0])).null_deviation == 0
    assert risk_coverage(np.array([0.5, 0.1]), np.array([0, 0])).interval() == (0, 0)


@pytest.mark.parametrize(
    ("c", "x", "said"),
    [
        ([0.5], [0, 1], "got shapes"),
        ([], [], "got shapes"),
        ([np.nan], [0], "finite"),
        ([0.5], [np.inf], "finite"),
    ],
)
@pytest.mark.wrong_types
def test_says_what_is_wrong(c, x, said):
    with pytest.raises(ArgumentError, match=said):
        risk_coverage(np.array(c, float), np.array(x, float))


def test_needs_draws():
    found = risk_coverage(np.array([0.5]), np.array([0]))
    with pytest.raises(ArgumentError, match="level=0"):
        found.interval(0)
    with pytest.raises(ArgumentError, match="20 draws"):
        found.null(repeats=10)
