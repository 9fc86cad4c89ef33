import numpy as np
import pytest

from wellposed.errors import ArgumentError
from wellposed.stats import Null, calibration_null, expected_calibration_error


def test_one_bin_has_a_closed_form():
    # |mean of n centered Bernoulli variables| is half a normal distribution
    c = np.random.default_rng(0).beta(5, 2, 2000)
    null = calibration_null(c, bins=1, repeats=4000)
    sigma = np.sqrt((c * (1 - c)).mean() / len(c))
    assert null.mean == pytest.approx(np.sqrt(2 / np.pi) * sigma, rel=0.04)
    assert null.quantile(0.95) == pytest.approx(1.96 * sigma, rel=0.04)


@pytest.mark.parametrize("binning", ["equal mass", "equal width"])
def test_is_the_statistic_of_drawn_outcomes(binning):
    rng = np.random.default_rng(1)
    c = rng.beta(5, 2, 700)
    drawn = [
        expected_calibration_error(c, rng.random(700) < c, binning=binning) for _ in range(500)
    ]
    null = calibration_null(c, binning=binning, repeats=2000)
    assert null.mean == pytest.approx(np.mean(drawn), rel=0.03)
    assert null.quantile(0.95) == pytest.approx(np.quantile(drawn, 0.95), rel=0.05)


def test_p_values_of_calibrated_models_are_uniform():
    rng, found = np.random.default_rng(2), []
    for seed in range(300):
        c = rng.beta(5, 2, 200)
        error = expected_calibration_error(c, rng.random(200) < c)
        found.append(calibration_null(c, repeats=199, seed=seed).p_value(error))
    assert np.mean(found) == pytest.approx(0.5, abs=0.05)
    assert np.mean(np.array(found) <= 0.05) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 300)


def test_a_p_value_is_never_0():
    null = Null(np.arange(1.0, 100.0))
    assert null.p_value(1000) == pytest.approx(0.01)
    assert null.p_value(0) == 1
    assert null.p_value(99) == pytest.approx(0.02)


def test_is_the_same_for_the_same_seed_only():
    c = np.linspace(0.5, 1, 100)
    one, same, other = (calibration_null(c, repeats=50, seed=s).values for s in (0, 0, 1))
    assert (one == same).all()
    assert (one != other).any()


def test_needs_draws():
    with pytest.raises(ArgumentError, match="at least 20 draws"):
        calibration_null(np.array([0.5]), repeats=5)
