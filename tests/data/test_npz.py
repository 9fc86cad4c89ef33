import numpy as np
import pytest
import torch

from wellposed.data import NPZ, Places, load
from wellposed.errors import DataError

Y = np.arange(12) % 3


def read(tmp_path, **arrays):
    np.savez(tmp_path / "x.npz", **arrays)
    return NPZ(tmp_path / "x.npz").read(Places())


def test_reads_parts_by_their_usual_names(tmp_path):
    x = np.random.default_rng(0).normal(size=(12, 5))
    raw = read(tmp_path, x_train=x, y_train=Y, x_test=x[:4], y_test=Y[:4], x_val=x, y_val=Y)
    assert torch.equal(raw.train.inputs, torch.from_numpy(x.astype(np.float32)))
    assert raw.test.targets.tolist() == [0, 1, 2, 0]
    assert list(raw.parts) == ["train", "validation", "test"]
    assert raw.classes == ("0", "1", "2")
    assert raw.origin == str(tmp_path / "x.npz") == NPZ(tmp_path / "x.npz").find(Places())


@pytest.mark.parametrize("x", ["inputs", "X", "train_images"])
def test_other_names(tmp_path, x):
    y = {"inputs": "targets", "X": "y", "train_images": "train_labels"}[x]
    assert len(read(tmp_path, **{x: np.ones((12, 2)), y: Y}).train) == 12


@pytest.mark.parametrize(
    ("given", "shape"),
    [((12, 5), (5,)), ((12, 6, 7), (1, 6, 7)), ((12, 3, 6, 7), (3, 6, 7)),
     ((12, 6, 7, 3), (3, 6, 7)), ((12, 5, 6, 7), (5, 6, 7))],
)  # fmt: skip
def test_images_get_their_channels_first(tmp_path, given, shape):
    assert read(tmp_path, x=np.ones(given), y=Y).train.shape == shape


def test_channels_last_keeps_its_pixels_in_place(tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (12, 4, 5, 3)).astype(np.uint8)
    found = read(tmp_path, x=x, y=Y[:, None]).train.inputs
    assert torch.equal(found, torch.from_numpy(x).permute(0, 3, 1, 2) / 255)


def test_classes_may_have_names(tmp_path):
    x = np.ones((12, 2))
    assert read(tmp_path, x=x, y=Y, classes=np.array(["a", "b", "c", "d"])).classes[3] == "d"
    with pytest.raises(DataError, match=r"classes has shape \(2,\), but there are 3 classes"):
        read(tmp_path, x=x, y=Y, classes=np.array(["a", "b"]))
    with pytest.raises(DataError, match="text would be right"):
        read(tmp_path, x=x, y=Y, classes=np.arange(3))


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"a": Y}, "holds a; it needs x_train and y_train"),
        ({}, "holds nothing"),
        ({"x": np.ones((11, 2)), "y": Y}, "one class number per input"),
        ({"x": np.ones(12), "y": Y}, "inputs of at least one number"),
        ({"x": np.ones((0, 2)), "y": Y[:0]}, "inputs of at least one number"),
        ({"x": np.ones((12, 2)), "y": np.eye(12)}, "whole numbers would be right"),
        ({"x": np.ones((12, 2)), "y": np.eye(12, dtype=int)}, "one class number per input"),
        ({"x": np.ones((12, 2)), "y": Y - 1}, "class numbers from -1 to 1"),
        ({"x": np.ones((12, 2)), "y": Y + 2**40}, "number the classes 0, 1, 2"),
    ],
)
def test_refuses_arrays_that_do_not_fit(tmp_path, arrays, sentence):
    with pytest.raises(DataError, match=sentence):
        read(tmp_path, **arrays)


def test_refuses_what_is_not_there(places):
    assert NPZ("x.npz").find(places) is None
    with pytest.raises(DataError, match="does not exist"):
        NPZ("x.npz").read(places)
    (places.data_dir / "x.npz").mkdir()
    with pytest.raises(DataError, match=r"x\.npz is no file"):
        NPZ("x.npz").read(places)


def test_a_mapped_file_is_streamed_to_the_same_values(tmp_path, monkeypatch):
    x = np.random.default_rng(0).integers(0, 256, (60, 3, 4, 4)).astype(np.uint8)
    np.savez(tmp_path / "x.npz", x=x, y=np.arange(60) % 3)
    loaded = load(NPZ(tmp_path / "x.npz"))
    monkeypatch.setattr("wellposed.data._npz_archive.MAPPED_BYTES", 100)
    streamed = load(NPZ(tmp_path / "x.npz"), memory_budget=1000)
    assert loaded.train.in_memory
    assert not streamed.train.in_memory
    assert streamed.describe() == loaded.describe()
    assert torch.equal(streamed.test.inputs, loaded.test.inputs)
