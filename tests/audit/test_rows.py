import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset

from wellposed.audit._rows import Held, Indexed, Rows, parts_of
from wellposed.data import XOR, load
from wellposed.errors import ArgumentError

X, Y = torch.arange(12.0).reshape(4, 3), torch.tensor([0, 1, 0, 1])
ROWS = torch.tensor([2, 0])


@pytest.mark.parametrize(
    "part",
    [
        (X, Y),
        [X.numpy(), Y.numpy()],
        TensorDataset(X, Y),
        [(x.numpy(), int(y)) for x, y in zip(X, Y, strict=True)],
        Held(X, Y),
    ],
    ids=["tensors", "arrays", "torch", "items", "rows"],
)
def test_whatever_has_a_length_gives_the_rows_asked_for_in_their_order(part):
    rows = parts_of(part)["test"]
    assert len(rows) == 4
    inputs, targets = rows.take(ROWS)
    assert torch.equal(inputs, X[ROWS])
    assert torch.equal(targets, Y[ROWS])
    assert isinstance(rows, Rows)


def test_integers_stay_integers():
    tokens = torch.tensor([[1, 2], [3, 4]])
    assert parts_of((tokens, Y[:2]))["test"].take(ROWS[1:])[0].dtype == torch.int64


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.bool])
def test_class_numbers_become_int64(dtype):
    data = [(x, y) for x, y in zip(X, Y.to(dtype), strict=True)]
    for part in ((X, Y.to(dtype)), data):
        targets = parts_of(part)["test"].take(ROWS)[1]
        assert targets.dtype == torch.int64
        assert torch.equal(targets, Y[ROWS])


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            OSError("the disk is gone"),
            "item 2 of the dataset .* OSError: the disk is gone",
        ),
        (AssertionError(), "item 2 of the dataset .* AssertionError$"),
    ],
)
def test_an_item_that_cannot_be_read_is_named(error, said):
    class Gone:
        def __len__(self):
            return 4

        def __getitem__(self, row):
            raise error

    with pytest.raises(ArgumentError, match=said):
        parts_of(Gone())["test"].take(ROWS)


def test_a_dataset_of_ours_is_taken_with_its_parts():
    data = load(XOR(n=60))
    parts = parts_of(data)
    assert {name: len(part) for name, part in parts.items()} == {
        name: len(part) for name, part in data.parts.items()
    }


def test_parts_come_in_their_order_and_none_is_no_part():
    found = parts_of({"test": (X, Y), "validation": None, "train": (X, Y)})
    assert list(found) == ["train", "test"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({}, r"parts \[\]; parts are called train, validation, test"),
        ({"eval": (X, Y)}, r"parts \['eval'\]"),
        ((X, Y[:3]), "4 inputs and 3 targets"),
        ((X[:0], Y[:0]), "0 inputs and 0 targets"),
        (X, r"one array of shape \(4, 3\); an audit needs \(inputs, targets\)"),
        (np.zeros((4, 3)), "one array of shape"),
        (iter([(X, Y)]), "collect what it yields first"),
        (7, "a part of the data is a int"),
        ("words", "a part of the data is a str"),
        ([], "a part of the data is empty"),
        ((["a", "b"], Y[:2]), "found a list as the set of inputs"),
    ],
    ids=range(11),
)
def test_what_is_no_data_is_said(data, said):
    with pytest.raises(ArgumentError, match=said):
        parts_of(data)


@pytest.mark.parametrize(
    ("items", "said"),
    [
        ([X[0], X[1], X[2]], "an item of the dataset is a Tensor; an audit needs pairs"),
        ([(X[0], 0), (X[1, :2], 1), (X[2], 0)], "inputs have the shapes .* resize or pad"),
        ([(object(), 0)] * 3, "found a object as the input"),
        ([(X[0], "cat")] * 3, "found a str as the target"),
    ],
    ids=["no pair", "ragged", "no input", "no target"],
)
def test_items_that_make_no_batch_are_said(items, said):
    with pytest.raises(ArgumentError, match=said):
        Indexed(items).take(torch.arange(3))
