import numpy as np
import pytest

from wellposed.errors import ArgumentError
from wellposed.stats import calibration, expected_calibration_error


def sample(n, seed, bend=0.0):
    """Confidences, and outcomes that are right with the probability c - bend * c * (1 - c)."""
    rng = np.random.default_rng(seed)
    c = rng.beta(5, 2, n)
    p = c - bend * c * (1 - c)
    return c, rng.random(n) < p, p


def test_by_hand():
    c, a = np.array([0.2, 0.4, 0.6, 1.0]), np.array([0, 1, 1, 1])
    found = calibration(c, a, bins=2)
    assert found.counts.tolist() == [2, 2]
    assert found.confidence == pytest.approx([0.3, 0.8])
    assert found.accuracy == pytest.approx([0.5, 1.0])
    assert found.error == pytest.approx(0.2)
    assert found.greatest == pytest.approx(0.2)
    assert found.overconfidence == pytest.approx(-0.2)
    # gaps -0.2 and -0.2; residuals 0.2 -0.6 and -0.4 0: variances 0.32 and 0.08, over n_b = 2
    assert found.squared == pytest.approx(0.5 * (0.04 - 0.16) + 0.5 * (0.04 - 0.04))


def test_confidence_1_is_in_the_last_bin():
    # torchmetrics 1.9.0 puts it into a bin of its own and finds 0.525 here (its issue 3510)
    c, a = np.array([0.95, 1.0]), np.array([1, 0])
    assert expected_calibration_error(c, a, bins=10, binning="equal width") == pytest.approx(0.475)


def test_ties_stay_together_whatever_the_order():
    c = np.repeat([0.3, 0.9], [70, 30])
    a = np.arange(100) % 2
    shuffled = np.random.default_rng(0).permutation(100)
    found = calibration(c, a, bins=15)
    assert found.counts.tolist() == [70, 30]
    assert calibration(c[shuffled], a[shuffled]).error == pytest.approx(found.error)


def test_equal_mass_holds_as_many_each():
    c, a, _ = sample(1003, 0)
    assert set(calibration(c, a, bins=10).counts) <= {100, 101}


@pytest.mark.parametrize("bins", [1, 5, 15])
def test_netcal_finds_the_same(bins):
    pytest.importorskip("torch")
    netcal = pytest.importorskip("netcal.metrics.confidence.ECE", exc_type=ImportError)
    c, a, _ = sample(800, 1, 0.5)
    right = netcal.ECE(bins).measure(c, a.astype(int))
    found = expected_calibration_error(c, a, bins=bins, binning="equal width")
    assert found == pytest.approx(float(right), abs=1e-6)


def test_torchmetrics_finds_the_same_where_no_confidence_is_1():
    functional = pytest.importorskip("torchmetrics.functional.classification")
    torch = pytest.importorskip("torch")
    c, a, _ = sample(800, 2, 0.5)
    right = functional.binary_calibration_error(
        torch.from_numpy(c), torch.from_numpy(a.astype(int)), n_bins=15, norm="l1"
    )
    found = expected_calibration_error(c, a, bins=15, binning="equal width")
    assert found == pytest.approx(float(right), abs=1e-6)


def test_scikit_learn_has_the_same_curve():
    curve = pytest.importorskip("sklearn.calibration").calibration_curve
    c, a, _ = sample(900, 3)
    found = calibration(c, a, bins=9)
    share, mean = curve(a, c, n_bins=9, strategy="quantile")
    assert found.confidence == pytest.approx(mean, abs=2e-3)
    assert found.accuracy == pytest.approx(share, abs=2e-2)


@pytest.mark.parametrize("bend", [0.0, 0.2, 1.0])
def test_the_interval_covers_at_its_level(bend):
    covered, n = 0, 500
    for seed in range(1000):
        c, a, p = sample(n, seed, bend)
        found = calibration(c, a)
        right = calibration(c, p).error  # the same bins: what endless data would give
        low, high = found.interval(0.95)
        covered += low <= right <= high
    assert covered >= 950 - 2 * 7  # two standard errors of 1,000 repeats


def test_the_interval_is_as_short_as_the_sum_of_signs_where_signs_are_known():
    c, a, p = sample(20_000, 0, 1.0)
    found = calibration(c, a)
    low, high = found.interval()
    half = 1.96 * np.sqrt((p * (1 - p)).mean() / len(c))
    assert high - found.error == pytest.approx(half, rel=0.05)
    assert found.error - low == pytest.approx(half, rel=0.25)


def test_the_squared_error_has_no_bias():
    plain, fair = [], []
    for seed in range(400):
        c, a, _ = sample(400, seed)
        found = calibration(c, a)
        fair.append(found.squared)
        plain.append((found.weights * (found.confidence - found.accuracy) ** 2).sum())
    error = np.std(fair) / np.sqrt(400)
    assert abs(np.mean(fair)) < 3 * error
    assert np.mean(plain) > 20 * error


@pytest.mark.parametrize(
    ("c", "a", "options", "said"),
    [
        ([0.5, 1.5], [0, 1], {}, "confidences are numbers"),
        ([0.5, np.nan], [0, 1], {}, "confidences are numbers"),
        ([0.5, 0.6], [0, 2], {}, "outcomes are numbers"),
        ([0.5], [0, 1], {}, "got shapes"),
        ([], [], {}, "got shapes"),
        ([0.5], [1], {"bins": 0}, "at least one bin"),
    ],
)
@pytest.mark.wrong_types
def test_says_what_is_wrong(c, a, options, said):
    with pytest.raises(ArgumentError, match=said):
        calibration(np.array(c, float), np.array(a, float), **options)


@pytest.mark.wrong_types
def test_no_such_binning():
    with pytest.raises(ArgumentError, match="'quantile'"):
        calibration(np.array([0.5]), np.array([1.0]), binning="quantile")
