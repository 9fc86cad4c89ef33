import hashlib

import numpy as np
import pytest
import torch

from wellposed.data import Examples, Standardization, Store
from wellposed.data._examples import Fingerprint
from wellposed.errors import ArgumentError


class Slow(Store):
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


def test_arrays_of_any_number_type_become_float32_and_int64():
    for dtype in ("f8", ">f4", "i2", "u2", "?"):
        x = Examples(np.ones((3, 2), dtype), np.arange(3, dtype=">i2"))
        assert x.inputs.dtype == torch.float32
        assert x.inputs.sum() == 6
        assert x.targets.tolist() == [0, 1, 2]
        assert x.in_memory


def test_bytes_become_255ths():
    x = Examples(torch.tensor([[0], [255]], dtype=torch.uint8), torch.tensor([0, 1]))
    assert not x.in_memory
    assert x.inputs.tolist() == [[0.0], [1.0]]
    assert x.take(torch.tensor([1]))[0].tolist() == [[1.0]]


def test_a_read_only_array_is_copied():
    values = np.zeros((2, 2), np.float32)
    values.flags.writeable = False
    Examples(values, torch.zeros(2, dtype=torch.long)).inputs.add_(1)
    assert values.sum() == 0


def test_take_gives_rows_in_order_and_select_views_them():
    x = Examples(torch.arange(5.0).view(5, 1), torch.arange(5))
    inputs, targets = x.take(torch.tensor([4, 0, 4]))
    assert inputs.flatten().tolist() == [4, 0, 4]
    assert targets.tolist() == [4, 0, 4]
    part = x.select(torch.tensor([3, 1]))
    assert len(part) == 2
    assert part.inputs.flatten().tolist() == [3, 1]
    assert part.targets.tolist() == [3, 1]


def test_standardized_when_read():
    x = Examples(Slow(torch.tensor([[1.0], [3.0]])), torch.tensor([0, 1]))
    z = x.standardized(Standardization((1.0,), (2.0,)), "abc")
    assert z.inputs.tolist() == [[0.0], [1.0]]
    assert z.take(torch.tensor([1]))[0].tolist() == [[1.0]]
    assert z.select(torch.tensor([1])).inputs.tolist() == [[1.0]]
    assert z.sha256 == "abc"
    assert x.inputs.tolist() == [[1.0], [3.0]]


def test_says_what_it_is():
    x = torch.zeros(2, 1, 3, 3)
    assert repr(Examples(x, torch.arange(2))) == "Examples(n=2, shape=(1, 3, 3), in memory)"
    assert repr(Examples(Slow(x), torch.arange(2))) == "Examples(n=2, shape=(1, 3, 3), streamed)"


def test_fingerprint_is_that_of_the_bytes():
    x = np.arange(6, dtype=np.uint8).reshape(3, 2)
    y = np.array([0, 1, 0])
    header = repr((("torch.uint8", (2,)), 3)).encode()
    expected = hashlib.sha256(x.tobytes() + y.astype("<i8").tobytes() + header).hexdigest()
    assert Examples(x, y).sha256 == expected


def test_fingerprint_is_the_same_however_it_is_read(monkeypatch):
    x, y = torch.rand(40, 3), torch.arange(40) % 3
    whole = Examples(x, y).sha256
    monkeypatch.setattr("wellposed.data._examples._CHUNK", 64)
    assert Examples(x, y).sha256 == whole
    assert Examples(Slow(x), y).sha256 == whole
    assert torch.equal(Examples(Slow(x), y).inputs, x)


@pytest.mark.parametrize("change", ["input", "target", "shape", "dtype"])
def test_fingerprint_sees_every_change(change):
    x, y = torch.zeros(4, 6), torch.zeros(4, dtype=torch.long)
    before = Examples(x, y).sha256
    if change == "input":
        x[3, 5] = 1e-30
    elif change == "target":
        y[0] = 1
    elif change == "shape":
        x = x.view(4, 2, 3)
    else:
        x = torch.zeros(4, 24, dtype=torch.uint8)
    assert Examples(x, y).sha256 != before


def test_fingerprint_of_a_transposed_tensor_is_that_of_its_values():
    x = torch.rand(4, 3)
    a, b = Fingerprint(), Fingerprint()
    a.add(x.T.contiguous().T)
    b.add(x)
    y = torch.zeros(4, dtype=torch.long)
    assert a.hexdigest(y) == b.hexdigest(y)


@pytest.mark.parametrize(
    ("inputs", "targets", "sentence"),
    [
        (torch.zeros(3, 2), torch.zeros(4, dtype=torch.long), "3 inputs but 4 targets"),
        (torch.zeros(0, 2), torch.zeros(0, dtype=torch.long), "found no examples"),
        (torch.zeros(3), torch.zeros(3, dtype=torch.long), "at least one number"),
        (torch.zeros(3, 0), torch.zeros(3, dtype=torch.long), "at least one number"),
        (torch.zeros(()), torch.zeros(3, dtype=torch.long), "single number"),
        (torch.zeros(3, 2), torch.zeros(3), "whole class numbers"),
        (torch.zeros(3, 2), torch.zeros(3, 1, dtype=torch.long), "whole class numbers"),
        (torch.zeros(3, 2, dtype=torch.complex64), torch.zeros(3, dtype=torch.long), "real"),
        (np.array([["a"], ["b"]]), np.arange(2), "must be numbers"),
        (np.array([[None]]), np.arange(1), "must be numbers"),
    ],
)
def test_refuses_what_is_no_data(inputs, targets, sentence):
    with pytest.raises(ArgumentError, match=sentence):
        Examples(inputs, targets)


def test_other_targets_leave_the_inputs_where_they_are():
    one = Examples(torch.zeros(3, 2), torch.tensor([0, 1, 2]))
    other = one.relabeled(torch.tensor([2, 1, 0]))
    assert other.targets.tolist() == [2, 1, 0]
    assert other.inputs is one.inputs
    assert other.sha256 != one.sha256
