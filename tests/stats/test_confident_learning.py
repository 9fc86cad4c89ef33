import numpy as np
import pytest
from scipy.special import softmax

from wellposed.errors import ArgumentError
from wellposed.stats import confident_joint, confident_noise


def sample(n=600, k=5, noise=0.1, seed=0):
    """Sharp probabilities around the true class, and labels of which some are wrong."""
    rng = np.random.default_rng(seed)
    true = rng.integers(k, size=n)
    p = softmax(rng.standard_normal((n, k)) + 5 * np.eye(k)[true], axis=1)
    wrong = rng.random(n) < noise
    return p, np.where(wrong, (true + rng.integers(1, k, n)) % k, true), wrong


def test_by_hand():
    p = np.array([[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.85, 0.15]])
    y = np.array([0, 0, 1, 1])
    # t_0 = 0.8, t_1 = 0.475: rows 0 and 3 belong to class 0, row 2 to class 1, row 1 to none
    assert confident_joint(p, y).tolist() == [[1, 0], [1, 1]]
    assert confident_noise(confident_joint(p, y)) == pytest.approx(1 / 3)


def test_cleanlab_finds_the_same():
    pytest.importorskip("pandas")
    count = pytest.importorskip("cleanlab.count")
    for seed in range(3):
        p, y, _ = sample(seed=seed)
        right = count.compute_confident_joint(y, p, calibrate=False)
        assert (confident_joint(p, y) == right).all()


@pytest.mark.parametrize("noise", [0.0, 0.1, 0.3])
def test_the_noise_of_clear_classes_is_found(noise):
    p, y, wrong = sample(3000, noise=noise)
    found = confident_noise(confident_joint(p, y))
    assert found == pytest.approx(wrong.mean(), abs=0.02)


def test_a_class_that_nobody_has_is_no_trouble():
    p = softmax(np.random.default_rng(0).standard_normal((50, 4)), axis=1)
    joint = confident_joint(p, np.arange(50) % 3)
    assert joint[:, 3].sum() == 0


@pytest.mark.parametrize(
    ("p", "y", "said"),
    [
        ([[0.5, 0.5]], [2], "labels are 0 to 1"),
        ([[0.5, np.nan]], [0], "finite"),
        ([[1.0]], [0], "at least 2 probabilities"),
        ([[0.5, 0.5]], [0, 1], "of shape"),
    ],
)
@pytest.mark.wrong_types
def test_says_what_is_wrong(p, y, said):
    with pytest.raises(ArgumentError, match=said):
        confident_joint(np.array(p), np.array(y))


@pytest.mark.wrong_types
def test_nothing_to_count():
    with pytest.raises(ArgumentError, match="nothing to count"):
        confident_noise(np.zeros((2, 2), dtype=np.int64))
    with pytest.raises(ArgumentError, match="square"):
        confident_noise(np.zeros((2, 3), dtype=np.int64))
