import inspect

import numpy as np
import pytest
import torch

from wellposed.data import Digits, Examples, Places, Raw, Source, Store, load
from wellposed.errors import ArgumentError, DataError


class Rows(Store):
    """Rows that are computed when they are read."""

    def __init__(self, tensor):
        self._tensor = tensor

    @property
    def shape(self):
        return tuple(self._tensor.shape[1:])

    def __len__(self):
        return len(self._tensor)

    def read(self, rows):
        return self._tensor[rows]


class Given(Source):
    name = "given"

    def __init__(self, raw):
        self.raw = raw

    def find(self, places):  # noqa: ARG002
        return None

    def read(self, places):  # noqa: ARG002
        return self.raw


def examples(n=60, shape=(3, 4, 4), classes=3, seed=0, *, store=False, levels=True):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 256, (n, *shape)).astype(np.uint8)
    inputs = torch.from_numpy(values if levels else values.astype(np.float32))
    return Examples(Rows(inputs) if store else inputs, torch.arange(n) % classes)


ABC = ("a", "b", "c")


def test_missing_parts_are_split_off_and_nothing_is_lost_or_doubled():
    whole = examples()
    data = load(Given(Raw(whole, ABC)), validation=0.25, test=0.15, standardize=False)
    assert [len(part) for part in data.parts.values()] == [36, 15, 9]
    rows = torch.cat([part.inputs for part in data.parts.values()])
    found = sorted(map(tuple, rows.flatten(1).tolist()))
    assert found == sorted(map(tuple, whole.inputs.flatten(1).tolist()))


def test_parts_that_the_source_has_are_kept_as_they_are():
    raw = Raw(examples(), ABC, test=examples(12, seed=1))
    data = load(Given(raw), validation=0.1, standardize=False)
    assert [len(part) for part in data.parts.values()] == [54, 6, 12]
    assert torch.equal(data.test.inputs, raw.test.inputs)
    raw = Raw(examples(), ABC, validation=examples(9, seed=1), test=examples(12, seed=1))
    assert [len(p) for p in load(Given(raw)).parts.values()] == [60, 9, 12]


def test_no_part_is_wanted():
    data = load(Given(Raw(examples(), ABC)), validation=0, test=0)
    assert data.validation is None
    assert data.test is None
    assert list(data.parts) == ["train"]
    assert data.describe()["parts"]["test"] is None


def test_the_test_part_does_not_depend_on_the_validation_share():
    raw = Given(Raw(examples(), ABC))
    assert load(raw, validation=0.1).test.sha256 == load(raw, validation=0.3).test.sha256


def test_the_seed_decides_the_parts():
    raw = Given(Raw(examples(), ABC))
    assert load(raw, seed=1).describe() == load(raw, seed=1).describe()
    assert load(raw, seed=1).test.sha256 != load(raw, seed=2).test.sha256


def test_standardization_comes_from_the_train_part_alone():
    test = examples(12, seed=1, levels=False)
    raw = Raw(examples(levels=False), ABC, test=test)
    data = load(Given(raw), validation=0)
    z = data.train.inputs.double()
    torch.testing.assert_close(z.mean((0, 2, 3)), torch.zeros(3).double(), rtol=0, atol=1e-6)
    torch.testing.assert_close(data.standardization.undo(data.test.inputs), test.inputs)
    other = Raw(raw.train, ABC, test=examples(12, seed=2, levels=False))
    assert load(Given(other), validation=0).standardization == data.standardization


@pytest.mark.parametrize("levels", [True, False])
@pytest.mark.parametrize("standardize", [True, False])
def test_streamed_gives_the_same_bits_as_in_memory(levels, standardize):
    loaded = load(Given(Raw(examples(levels=levels), ABC)), standardize=standardize)
    source = Given(Raw(examples(levels=levels, store=True), ABC))
    streamed = load(source, standardize=standardize, memory_budget=60 * 48 * 4 - 1)
    kept = load(source, standardize=standardize, memory_budget=60 * 48 * 4)
    assert loaded.train.in_memory
    assert kept.train.in_memory
    assert not streamed.train.in_memory
    assert streamed.describe() == loaded.describe() == kept.describe()
    for name, part in loaded.parts.items():
        assert torch.equal(streamed.parts[name].inputs, part.inputs)
        assert torch.equal(streamed.parts[name].targets, part.targets)
        assert torch.equal(kept.parts[name].inputs, part.inputs)


def test_the_range_of_bytes_is_0_to_1_and_that_of_floats_is_measured():
    assert load(Given(Raw(examples(), ABC))).input_range == (0.0, 1.0)
    values = examples(levels=False)
    data = load(Given(Raw(values, ABC)), validation=0, test=0)
    assert data.input_range == (values.inputs.min().item(), values.inputs.max().item())


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("budget", [0, 2**30])
def test_values_that_are_not_finite_are_refused_by_row(bad, budget, monkeypatch):
    monkeypatch.setattr("wellposed.data._examples._CHUNK", 500)
    part = examples(levels=False)
    part.inputs[41, 1, 2, 3] = bad
    raw = Raw(part, ABC, origin="x.npz")
    with pytest.raises(DataError, match=r"x\.npz: train part: row 41 holds an input that is inf"):
        load(Given(raw), validation=0, test=0, memory_budget=budget)


@pytest.mark.parametrize(
    ("shares", "sentence"),
    [
        ({"validation": 1.0}, "validation share must lie"),
        ({"test": -0.1}, "test share must lie"),
        ({"validation": 0.5, "test": 0.5}, "leave nothing to train on"),
    ],
)
def test_refuses_shares_out_of_range(shares, sentence):
    with pytest.raises(ArgumentError, match=sentence):
        load(Given(Raw(examples(), ABC)), **shares)


def test_refuses_parts_that_do_not_fit():
    with pytest.raises(DataError, match=r"the test part have shape \(3, 5, 5\), .* \(3, 4, 4\)"):
        Raw(examples(), ABC, test=examples(shape=(3, 5, 5)))
    with pytest.raises(DataError, match="validation part has class number 3; with 3 classes"):
        Raw(examples(), ABC, validation=examples(classes=4))
    negative = Examples(torch.zeros(2, 3), torch.tensor([0, -1]))
    with pytest.raises(DataError, match="train part has class number -1"):
        Raw(negative, ABC)


def test_a_source_is_asked_with_the_places_given(places):
    asked = []

    class Asking(Given):
        def read(self, places):
            asked.append(places)
            return self.raw

    load(Asking(Raw(examples(), ABC)), places=places)
    load(Asking(Raw(examples(), ABC)))
    assert asked[0] is places
    assert isinstance(asked[1], Places)


def test_digits_describe_themselves_for_a_run_folder():
    described = load(Digits(), seed=3).describe()
    assert described["name"] == "digits"
    assert described["license"] == "CC BY 4.0"
    assert described["shape"] == [1, 8, 8]
    assert {name: part["n"] for name, part in described["parts"].items()} == {
        "train": 1257,
        "validation": 180,
        "test": 360,
    }


def test_a_name_is_no_source():
    unchecked = inspect.unwrap(load)  # where types are checked at run time, that check comes first
    with pytest.raises(ArgumentError, match=r"load takes a source such as Digits\(\).*'digits'"):
        unchecked("digits")


def test_fewer_examples_train_and_the_other_parts_stay():
    raw = Given(Raw(examples(), ABC))
    whole, less = load(raw), load(raw, examples=12)
    assert len(less.train) == 12
    assert less.name == "given (12 training examples)"
    assert less.validation.targets.equal(whole.validation.targets)
    assert less.describe()["parts"]["test"] == whole.describe()["parts"]["test"]
    assert less.standardization != whole.standardization


def test_wrong_labels_are_in_the_train_part_alone():
    raw = Given(Raw(examples(), ABC))
    right = load(raw)
    wrong = load(raw, wrong_labels=0.25)
    assert wrong.name == "given (25 % of the training labels wrong)"
    assert torch.equal(wrong.train.inputs, right.train.inputs)
    assert int(wrong.train.targets.ne(right.train.targets).sum()) == round(0.25 * len(right.train))
    for part in ("validation", "test"):
        assert wrong.describe()["parts"][part] == right.describe()["parts"][part]


def test_the_seed_decides_which_few_train_and_which_labels_are_wrong():
    raw = Given(Raw(examples(), ABC, validation=examples(9, seed=1), test=examples(9, seed=2)))
    found = [load(raw, seed=s, examples=30, wrong_labels=0.2).train.sha256 for s in (1, 1, 2)]
    assert found[0] == found[1] != found[2]
