import gzip
import hashlib
import os

import numpy as np
import pytest
import torch

from wellposed.data import MNIST, FashionMNIST, Places, load
from wellposed.data._published import CONTENT
from wellposed.errors import DataError


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("folder", ["mnist", "MNIST/raw", "MNIST"])
def test_reads_the_four_files_where_they_usually_lie(places, files, folder, packed):
    arrays = files.mnist(places.data_dir / folder, packed=packed)
    raw = MNIST().read(places)
    assert MNIST().find(places) == str(places.data_dir / folder) == raw.origin
    assert raw.train.shape == (1, 28, 28)
    pixels = torch.from_numpy(arrays["t10k-images-idx3-ubyte"])
    assert torch.equal(raw.test.inputs[:, 0], pixels / 255)
    assert raw.train.targets.tolist() == (np.arange(100) % 10).tolist()
    assert raw.classes == tuple("0123456789")
    assert raw.published is False


def test_reads_names_with_a_dot(places, files):
    folder = places.data_dir / "mnist"
    files.mnist(folder, packed=False)
    for path in list(folder.iterdir()):
        path.rename(path.with_name(path.name.replace("-idx", ".idx")))
    assert len(MNIST().read(places).train) == 100


def test_debian_keeps_fashion_mnist_in_the_system_folder(places, files, tmp_path):
    files.mnist(tmp_path / "usr/share/datasets/fashion-mnist")
    debian = Places(
        places.data_dir,
        offline=True,
        cache=places.cache,
        system=(tmp_path / "usr/share/datasets",),
    )
    data = load(FashionMNIST(), places=debian)
    assert data.name == "fashion-mnist (not the published files)"
    assert data.origin == str(tmp_path / "usr/share/datasets/fashion-mnist")
    assert data.classes[9] == "ankle boot"


def test_an_incomplete_folder_does_not_count(places, files):
    files.mnist(places.data_dir / "mnist")
    files.mnist(places.cache / "mnist")
    (places.data_dir / "mnist" / "t10k-labels-idx1-ubyte.gz").unlink()
    assert MNIST().find(places) == str(places.cache / "mnist")


def test_offline_names_the_places_looked_in(places):
    with pytest.raises(DataError, match="downloads are off") as refusal:
        load(MNIST(), places=places)
    for word in (str(places.data_dir), str(places.cache), "MNIST/raw/", "--data-dir"):
        assert word in str(refusal.value)


def test_published_bytes_are_recognized(places, files, monkeypatch):
    arrays = files.mnist(places.data_dir / "mnist")
    digests = {n: hashlib.sha256(files.idx(v)).hexdigest() for n, v in arrays.items()}
    monkeypatch.setitem(CONTENT, "mnist", digests)
    assert MNIST().read(places).published is True
    assert load(MNIST(), places=places).name == "mnist"


def test_bytes_of_another_published_file_are_refused(places, files, monkeypatch):
    arrays = files.mnist(places.data_dir / "fashion-mnist")
    digests = {n: hashlib.sha256(files.idx(v)).hexdigest() for n, v in arrays.items()}
    monkeypatch.setitem(CONTENT, "mnist", digests)
    with pytest.raises(DataError, match="train-images-idx3-ubyte of mnist, where those of"):
        FashionMNIST().read(places)


@pytest.mark.parametrize(
    ("name", "values", "sentence"),
    [
        ("train-labels-idx1-ubyte", np.full(100, 10), "label 10, labels go from 0 to 9"),
        ("train-labels-idx1-ubyte", np.zeros(99), "one label per image"),
        ("t10k-images-idx3-ubyte", np.zeros((20, 32, 32)), "one label per image of 28x28"),
        ("t10k-images-idx3-ubyte", np.zeros(20), "renamed or swapped"),
    ],
)
def test_refuses_files_that_do_not_fit(places, files, name, values, sentence):
    folder = places.data_dir / "mnist"
    files.mnist(folder)
    path = folder / f"{name}.gz"
    path.write_bytes(gzip.compress(files.idx(values.astype(np.uint8))))
    with pytest.raises(DataError, match=sentence) as refusal:
        MNIST().read(places)
    assert str(folder) in str(refusal.value)


@pytest.mark.full_data
@pytest.mark.slow
@pytest.mark.parametrize("source", [MNIST(), FashionMNIST()], ids=lambda s: s.name)
def test_the_published_files(source):
    data = load(source, places=Places(os.environ["WELLPOSED_DATA"], offline=True))
    assert data.name == source.name
    assert [len(part) for part in data.parts.values()] == [54_000, 6_000, 10_000]
    mean, std = {"mnist": (0.1307, 0.3081), "fashion-mnist": (0.2860, 0.3530)}[source.name]
    assert data.standardization.mean[0] == pytest.approx(mean, abs=5e-4)
    assert data.standardization.std[0] == pytest.approx(std, abs=5e-4)
