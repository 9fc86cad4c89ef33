import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from sklearn.neighbors import KNeighborsClassifier

from wellposed.data import XOR, Circles, Peaks, Places, Spirals, SwissRoll
from wellposed.data._toys import peaks
from wellposed.errors import ArgumentError

TOYS = [XOR, Circles, Peaks, Spirals, SwissRoll]


def points(toy):
    raw = toy.read(Places())
    return raw.train.inputs.double().numpy(), raw.train.targets.numpy(), raw


@pytest.mark.parametrize("kind", TOYS, ids=lambda k: k.name)
def test_seeded_balanced_and_in_the_plane(kind):
    x, y, raw = points(kind(n=401, seed=3))
    assert x.shape == (401, 2)
    counts = np.bincount(y)
    assert len(counts) == len(raw.classes)
    assert counts.min() > 0.8 * counts.mean()
    assert raw.origin == kind(n=401, seed=3).find(Places())
    assert np.array_equal(points(kind(n=401, seed=3))[0], x)
    assert not np.array_equal(points(kind(n=401, seed=4))[0], x)


@pytest.mark.parametrize("kind", TOYS, ids=lambda k: k.name)
def test_the_classes_can_be_learned_but_no_line_separates_them(kind):
    x, y, _ = points(kind(n=2000))
    order = np.random.default_rng(0).permutation(2000)
    x, y = x[order], y[order]
    near = KNeighborsClassifier(3).fit(x[::2], y[::2]).score(x[1::2], y[1::2])
    assert near > 0.93
    plane = np.linalg.lstsq(np.c_[x, np.ones(len(x))], np.eye(y.max() + 1)[y], rcond=None)[0]
    assert ((np.c_[x, np.ones(len(x))] @ plane).argmax(1) == y).mean() < 0.85


@pytest.mark.parametrize("kind", TOYS, ids=lambda k: k.name)
def test_noise_has_the_stated_deviation(kind):
    clean, y, _ = points(kind(n=4000))
    noisy, same, _ = points(kind(n=4000, noise=0.3))
    assert np.array_equal(y, same)
    assert (noisy - clean).std() == pytest.approx(0.3, rel=0.05)


def test_xor_is_the_sign_of_the_product():
    x, y, _ = points(XOR())
    assert np.array_equal(y, (x.prod(1) < 0))


def test_circles_have_their_radii():
    x, y, _ = points(Circles(factor=0.3))
    np.testing.assert_allclose(np.hypot(*x.T), np.where(y == 1, 0.3, 1), atol=1e-6)


def test_peaks_is_matlabs_function():
    # MATLAB: peaks(0, 0) = 0.9810; the global maximum and minimum are 8.1062 and -6.5511.
    assert peaks(np.zeros(1), np.zeros(1))[0] == pytest.approx(0.9810, abs=1e-4)
    top = minimize(lambda p: -peaks(p[:1], p[1:])[0], (0, 1.5), tol=1e-10)
    low = minimize(lambda p: peaks(p[:1], p[1:])[0], (0.2, -1.6), tol=1e-10)
    assert -top.fun == pytest.approx(8.1062, abs=1e-4)
    assert low.fun == pytest.approx(-6.5511, abs=1e-4)


def test_peaks_classes_are_level_sets_of_equal_size():
    x, y, _ = points(Peaks(n=1002))
    assert np.bincount(y).tolist() == [201, 201, 200, 200, 200]
    value, fifth = peaks(*x.T), (8.1062 + 6.5511) / 5
    for k in range(5):
        inside = value[y == k]
        assert inside.min() > -6.5512 + k * fifth - 1e-4
        assert inside.max() < -6.5511 + (k + 1) * fifth + 1e-4


def test_spirals_arms_are_turned_copies():
    x, y, raw = points(Spirals(n=900, arms=3, turns=2))
    assert len(raw.classes) == 3
    radius, angle = np.hypot(*x.T), np.arctan2(x[:, 1], x[:, 0])
    expected = 2 * np.pi * (2 * radius + y / 3)
    np.testing.assert_allclose(np.exp(1j * angle), np.exp(1j * expected), atol=1e-4)
    assert radius.max() <= 1


def test_swissroll_sheets_are_a_fixed_distance_apart():
    x, y, _ = points(SwissRoll(n=2000))
    radius, angle = np.hypot(*x.T), np.arctan2(x[:, 1], x[:, 0])
    turns = (radius - 0.2 * y) * 4.5 * np.pi
    np.testing.assert_allclose(np.exp(1j * angle), np.exp(1j * turns), atol=1e-4)


@pytest.mark.parametrize(
    ("toy", "sentence"),
    [
        (lambda: XOR(n=19), "n >= 20"),
        (lambda: XOR(n=10**9), "at most 10,000,000 points, got n=1000000000"),
        (lambda: XOR(noise=-1.0), "noise >= 0"),
        (lambda: XOR(noise=1e300), r"noise >= 0 and <= 1e\+06, got 1e\+300"),
        (lambda: XOR(noise=float("nan")), "noise >= 0 and <= 1e\\+06, got nan"),
        (lambda: XOR(seed=-1), "needs a seed from 0"),
        (lambda: Circles(factor=1.0).read(Places()), "factor in"),
        (lambda: Spirals(arms=1).read(Places()), "2 or more arms"),
        (lambda: Spirals(turns=0.0).read(Places()), "turns > 0"),
    ],
)
def test_refuses_settings_out_of_range(toy, sentence):
    with pytest.raises(ArgumentError, match=sentence):
        toy()


def test_nothing_global_is_drawn_from():
    np.random.seed(5)  # noqa: NPY002
    torch.manual_seed(5)
    before = np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002
    for kind in TOYS:
        kind().read(Places())
    after = np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002
    assert before == after
