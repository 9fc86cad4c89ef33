import numpy as np
from sklearn.tree import DecisionTreeClassifier

from wellposed.audit._single_feature import binned, recount, singles


def test_counting_in_bins_is_a_decision_tree_of_one_feature():
    generator = np.random.default_rng(0)
    x, z = (np.round(generator.random(n), 1) for n in (500, 300))
    y = ((10 * x).astype(int) + generator.integers(0, 2, 500)) % 3
    bins, theirs = binned(x, z)
    table = np.zeros((11, 3))
    np.add.at(table, (bins, y), 1)
    tree = DecisionTreeClassifier(random_state=0).fit(x[:, None], y)
    assert np.array_equal(table.argmax(1)[theirs], tree.predict(z[:, None]))


def test_many_values_make_at_most_64_bins_of_about_equal_size():
    x = np.random.default_rng(0).standard_normal(6400)
    bins, theirs = binned(x, np.array([-9.0, 9.0]))
    counts = np.bincount(bins)
    assert len(counts) <= 64
    assert counts.max() < 2 * 6400 / 63
    assert theirs.tolist() == [0, bins.max()]
    assert binned(np.ones(4), np.array([0.0, 2.0]))[1].tolist() == [0, 0]


def test_the_best_feature_of_each_question_is_found_and_judged():
    generator = np.random.default_rng(0)
    y, t = generator.integers(0, 3, 400), generator.integers(0, 3, 300)
    x, z = (generator.standard_normal((len(labels), 4)) for labels in (y, t))
    x[:, 1], z[:, 1] = y, np.where(np.arange(300) < 30, 7, t)  # values never seen in 30 places
    x[:, 2], z[:, 2] = y == 1, t == 1
    found = singles(x, y, z, t, ("a", "b", "c"))
    assert [s.asked for s in found] == ["the class"] + [f"whether it is {k}" for k in "cba"]
    assert [s.feature for s in found] == [1, 1, 1, 1]
    assert found[0].wrong == (t[:30] != 2).sum()  # what was never seen goes to the last bin
    assert found[0].guessed == (t != np.bincount(y).argmax()).sum()
    assert found[0].skill == 1 - found[0].wrong / found[0].guessed
    for single in found:
        assert recount(x[:, 1], y, z[:, 1], t, single, ("a", "b", "c")).endswith("equal")


def test_a_question_without_errors_of_guessing_is_left_out():
    y = np.array([0, 0, 1, 1] * 5)
    x = y[:, None].astype(float)
    assert [s.asked for s in singles(x, y, x, y, ("a", "b", "c"))] == [
        "the class", "whether it is b", "whether it is a",
    ]  # fmt: skip
    assert singles(x, 0 * y, x, 0 * y, ("a",)) == []
