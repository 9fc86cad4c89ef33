from sklearn.datasets import load_digits

from wellposed.data import Digits, load


def test_is_what_scikit_learn_ships(places):
    raw = Digits().read(places)
    bunch = load_digits()
    assert len(raw.train) == 1797
    assert raw.train.shape == (1, 8, 8)
    assert (raw.train.inputs[:, 0].numpy() * 16 == bunch.images).all()
    assert raw.train.targets.tolist() == bunch.target.tolist()
    assert raw.origin == Digits().find(places)


def test_loads_into_stratified_parts_in_the_unit_range():
    data = load(Digits())
    assert [len(part) for part in data.parts.values()] == [1257, 180, 360]
    assert data.input_range == (0.0, 1.0)
    assert min(data.test.targets.bincount().tolist()) >= 34
