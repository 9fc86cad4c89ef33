import hashlib
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from wellposed.data import CIFAR10, load
from wellposed.data import _cifar10 as module
from wellposed.data._published import CONTENT, Remote
from wellposed.errors import DataError

FOLDER = {"bin": "cifar-10-batches-bin", "py": "cifar-10-batches-py"}
ARCHIVE = {"bin": "cifar-10-binary.tar.gz", "py": "cifar-10-python.tar.gz"}


def put(folder, contents):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)


def layouts(files, layout, kind, home):
    """Write one layout below `home`, unpacked or as an archive, and return where it is found."""
    contents = files.cifar(layout)
    if kind == "archive":
        home.mkdir(exist_ok=True)
        inside = {f"{FOLDER[layout]}/{name}": c for name, c in contents.items()}
        (home / ARCHIVE[layout]).write_bytes(
            files.tar({f"{FOLDER[layout]}/readme": b"?", **inside})
        )
        return home / ARCHIVE[layout]
    folder = home if kind == "bare" else home / FOLDER[layout]
    put(folder, contents)
    return folder


@pytest.mark.parametrize("home", ["", "cifar10"])
@pytest.mark.parametrize("kind", ["folder", "archive", "bare"])
@pytest.mark.parametrize("layout", ["bin", "py"])
def test_reads_every_official_layout_to_the_same_values(places, files, layout, kind, home):
    where = layouts(files, layout, kind, places.data_dir / home)
    raw = CIFAR10().read(places)
    assert CIFAR10().find(places) == raw.origin == str(where)
    records = np.concatenate([files.cifar_records(seed=k) for k in range(5)])
    expected = torch.from_numpy(records[:, 1:].reshape(100, 3, 32, 32).copy())
    assert torch.equal(raw.train.inputs, expected / 255)
    assert raw.train.targets.tolist() == records[:, 0].tolist()
    assert len(raw.test) == 20
    assert raw.classes[6] == "frog"
    assert raw.published is False


def test_files_that_are_not_the_published_ones_are_never_called_cifar10(places, files):
    put(places.data_dir / "cifar10", files.cifar("bin"))
    assert load(CIFAR10(), places=places).name == "cifar10 (not the published files)"


@pytest.mark.parametrize("layout", ["bin", "py"])
def test_published_files_are_known_by_checksum(places, files, layout, monkeypatch):
    contents = files.cifar(layout)
    put(places.data_dir / "cifar10", contents)
    sha256 = {n: hashlib.sha256(c).hexdigest() for n, c in contents.items()}
    monkeypatch.setitem(CONTENT, "cifar10", sha256)
    monkeypatch.setattr(
        module, "_PYTHON_MD5", {n: hashlib.md5(c).hexdigest() for n, c in contents.items()}
    )
    assert CIFAR10().read(places).published is True


def test_an_image_folder_is_not_cifar10(places, files):
    files.folder(places.data_dir / "cifar10", parts=("train", "test"))
    assert CIFAR10().find(places) is None
    with pytest.raises(DataError, match="cifar-10-batches-bin/"):
        CIFAR10().read(places)


def test_a_place_before_the_cache_wins(places, files):
    put(places.cache / "cifar10" / "cifar-10-batches-bin", files.cifar("bin"))
    put(places.data_dir / "cifar-10-batches-py", files.cifar("py"))
    assert CIFAR10().fetch(places) == str(places.data_dir / "cifar-10-batches-py")


def test_what_is_nowhere_is_downloaded_into_the_cache(places, monkeypatch):
    asked = []

    def download(remote, folder, places):
        asked.append((remote, folder))
        return folder / remote.name

    monkeypatch.setattr(module, "download", download)
    online = replace(places, offline=False)
    found = CIFAR10().fetch(online)
    assert found == str(places.cache / "cifar10" / "cifar-10-binary.tar.gz")
    assert isinstance(asked[0][0], Remote)


def broken(name, content):
    return lambda batches: {**batches, name: content}


BROKEN = {
    "cut": ("bin", broken("data_batch_2.bin", b"x" * 5000), "no whole number of 3073-byte"),
    "empty": ("bin", broken("data_batch_2.bin", b""), "no whole number"),
    "label": ("bin", broken("data_batch_2.bin", b"\x0a" + bytes(3072)), "label 10, labels go"),
    "missing": (
        "bin",
        lambda b: {n: c for n, c in b.items() if "batch_4" not in n},
        "lacks data_batch_4",
    ),
    "no pickle": ("py", broken("data_batch_2", b"hello"), "not a pickle of plain"),
    "a list": ("py", broken("data_batch_2", b"\x80\x02]."), "but not of 'data'"),
    "no labels": ("py", broken("data_batch_2", b"\x80\x02}U\x04dataNs."), "but not of 'data'"),
}


@pytest.mark.parametrize(("layout", "breaks", "sentence"), BROKEN.values(), ids=BROKEN)
def test_refuses_broken_files(places, files, layout, breaks, sentence):
    put(places.data_dir / "cifar10", breaks(files.cifar(layout)))
    with pytest.raises(DataError, match=sentence) as refusal:
        CIFAR10().read(places)
    assert str(places.data_dir) in str(refusal.value)


@pytest.mark.parametrize("labels", [[-1] * 20, [10] * 20, [1] * 19, [None] * 20, [2**40] * 20])
def test_refuses_labels_that_do_not_fit(places, files, labels):
    contents = files.cifar("py")
    pixels = np.zeros((20, 3072), np.uint8)
    batch = {b"data": pixels, b"labels": [min(v, 2**31 - 1) if v else v for v in labels]}
    contents["test_batch"] = pickle.dumps(batch, protocol=2)
    put(places.data_dir / "cifar10", contents)
    with pytest.raises(DataError, match=r"test_batch (holds the label|is a pickle, but not)"):
        CIFAR10().read(places)


def test_refuses_oversized_and_unreadable_files(places, files, monkeypatch):
    contents = files.cifar("bin")
    put(places.data_dir / "cifar10", contents)
    monkeypatch.setattr(module, "_MOST", 1000)
    with pytest.raises(DataError, match="has more than 1000 bytes"):
        CIFAR10().read(places)
    monkeypatch.undo()

    def refuse(self, mode):
        raise PermissionError("not yours")

    monkeypatch.setattr("pathlib.Path.open", refuse)
    with pytest.raises(DataError, match="cannot be read"):
        CIFAR10().read(places)


@given(st.data())
def test_mutated_archives_parse_or_are_refused(places, files, data):
    batches = files.cifar("py", n=2)
    content = bytearray(files.tar({f"{FOLDER['py']}/{n}": c for n, c in batches.items()}))
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (places.data_dir / ARCHIVE["py"]).write_bytes(content)
    raw = files.read_or_refused(lambda: CIFAR10().read(places), "cifar-10-python.tar.gz")
    assert raw is None or raw.train.shape == (3, 32, 32)
