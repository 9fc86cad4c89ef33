import numpy as np
import pytest

from wellposed.errors import ArgumentError
from wellposed.stats import left_out


def sample(n, d, seed=0, classes=3):
    rng = np.random.default_rng(seed)
    y = rng.integers(classes, size=n)
    return rng.standard_normal((n, d)) + 1.5 * np.eye(classes, d)[y], y


@pytest.mark.parametrize(("n", "d"), [(40, 6), (12, 30)])
def test_is_what_leaving_each_out_gives(n, d):
    x, y = sample(n, d)
    found = left_out(x, y, 3)
    target = np.eye(3)[y]
    shift, level = x.mean(0), target.mean(0)
    for i in range(n):
        rest = np.arange(n) != i
        # centered by all; the intercept's share 1/n is that of a column of ones without penalty
        a = np.column_stack([x - shift, np.ones(n)])
        penalty = np.diag([*[found.penalty] * d, 0.0])
        w = np.linalg.solve(a[rest].T @ a[rest] + penalty, a[rest].T @ (target - level)[rest])
        assert found.scores[i] == pytest.approx(a[i] @ w + level, abs=1e-8)


def test_the_fit_is_that_of_scikit_learn():
    ridge = pytest.importorskip("sklearn.linear_model").Ridge
    x, y = sample(60, 5)
    found = left_out(x, y, 3)
    right = ridge(alpha=found.penalty).fit(x, np.eye(3)[y]).predict(x[:7])
    assert found.predict(x[:7]) == pytest.approx(right, abs=1e-9)


def test_the_scores_of_noise_know_nothing():
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=400)
    found = left_out(rng.standard_normal((400, 100)), y, 2)
    assert (found.scores.argmax(1) == y).mean() < 0.58  # in sample it would be 0.75


def test_constant_features_leave_the_shares():
    found = left_out(np.ones((10, 2)), np.array([0] * 7 + [1] * 3), 2)
    assert found.predict(np.ones((1, 2)))[0] == pytest.approx([0.7, 0.3])


@pytest.mark.parametrize(
    ("x", "y", "k", "said"),
    [
        (np.ones((2, 1)), [0, 1], 2, "at least 3 rows"),
        (np.ones((4, 1)), [0, 1, 2, 0], 2, "labels are 0 to 1"),
        (np.full((4, 1), np.nan), [0, 1, 1, 0], 2, "features are finite"),
    ],
)
def test_says_what_is_wrong(x, y, k, said):
    with pytest.raises(ArgumentError, match=said):
        left_out(x, np.array(y), k)
