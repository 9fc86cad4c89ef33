from functools import partial

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import softmax

from wellposed.errors import ArgumentError
from wellposed.stats import brier, negative_log_likelihood, temperature


def sample(n, seed, classes=5):
    """Logits, and labels drawn from their softmax: T = 1 is right."""
    rng = np.random.default_rng(seed)
    z = 2 * rng.standard_normal((n, classes))
    y = (softmax(z, 1).cumsum(1) < rng.random((n, 1))).sum(1)
    return z, y


def test_is_what_a_general_minimizer_finds():
    z, y = sample(500, 0)
    found = temperature(3 * z, y)
    right = minimize_scalar(
        lambda t: negative_log_likelihood(3 * z / t, y), bounds=(0.1, 30), method="bounded",
        options={"xatol": 1e-9},
    )  # fmt: skip
    assert found.value == pytest.approx(right.x, rel=1e-6)
    assert found.after == pytest.approx(right.fun, rel=1e-9)
    assert found.before == pytest.approx(negative_log_likelihood(3 * z, y), rel=1e-12)


def test_newton_stops_where_it_has_arrived():
    # rounding at the minimum must not throw it back to a bisection
    assert max(temperature(3 * z, y).steps for z, y in map(partial(sample, 500), range(40))) < 15


@pytest.mark.parametrize("scale", [1e-3, 1.0, 300.0])
def test_the_unit_of_the_logits_goes_into_it(scale):
    z, y = sample(400, 1)
    one, other = temperature(z, y), temperature(scale * z, y)
    assert other.value == pytest.approx(scale * one.value, rel=1e-9)
    assert other.scale(scale * z) == pytest.approx(one.scale(z), rel=1e-9)


def test_two_classes_are_logistic_regression_with_one_weight():
    z, y = sample(300, 2, classes=2)
    logistic = pytest.importorskip("sklearn.linear_model").LogisticRegression(
        C=1e12, fit_intercept=False, tol=1e-10
    )
    logistic.fit(z[:, 1:] - z[:, :1], y)
    assert 1 / temperature(z, y).value == pytest.approx(logistic.coef_[0, 0], rel=1e-4)


def test_its_standard_error_is_that_of_repeats():
    found = [temperature(*sample(400, seed)) for seed in range(300)]
    values = [f.value for f in found]
    assert np.mean(values) == pytest.approx(1, abs=0.02)
    assert np.mean([f.error for f in found]) == pytest.approx(np.std(values), rel=0.12)
    covered = np.mean([abs(f.value - 1) < 1.96 * f.error for f in found])
    assert covered >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / 300)


def test_logits_that_say_nothing():
    z, y = sample(400, 3)
    found = temperature(z, (y + 1) % 5)
    assert found.value == np.inf
    assert found.after == pytest.approx(np.log(5))
    assert (found.scale(z) == 0).all()


def test_scores_by_hand():
    z = np.log([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]])
    y = np.array([0, 2])
    assert negative_log_likelihood(z, y) == pytest.approx(-(np.log(0.5) + np.log(0.1)) / 2)
    assert brier(z, y) == pytest.approx((0.25 + 2 * 0.0625 + 0.01 + 0.64 + 0.81) / 2)


def test_scores_are_those_of_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    z, y = sample(200, 4)
    p = softmax(z, 1)
    assert negative_log_likelihood(z, y) == pytest.approx(metrics.log_loss(y, p))
    single = [metrics.brier_score_loss(y == k, p[:, k]) for k in range(5)]
    assert brier(z, y) == pytest.approx(sum(single))


def test_logits_far_from_0_do_not_overflow():
    z = np.array([[1e300, 0.0], [0.0, 1e3], [0.0, -2e3]])
    assert negative_log_likelihood(z, np.array([0, 1, 1])) == pytest.approx(2e3 / 3)


@pytest.mark.parametrize(
    ("z", "y", "said"),
    [
        ([[1.0, 0.0], [0.0, 2.0]], [0, 1], "all 2 examples are classified correctly"),
        ([[1.0, np.inf]], [0], "1 of 1 rows of logits are not finite"),
        ([[1.0, 0.0]], [2], "labels are 2 to 2"),
        ([[1.0, 0.0]], [-100], "labels are -100"),
        ([[1.0]], [0], "at least 2 logits"),
        ([[1.0, 0.0]], [0, 1], "of shape"),
    ],
)
@pytest.mark.wrong_types
def test_says_what_is_wrong(z, y, said):
    with pytest.raises(ArgumentError, match=said):
        temperature(np.array(z), np.array(y))
