import os
import tarfile

import numpy as np
import pytest
import torch

from wellposed.data import ImageFolder, Places, load
from wellposed.data._image import decode
from wellposed.errors import ArgumentError, DataError


@pytest.mark.parametrize("names", [("train", "val", "test"), ("training", "valid", "testing")])
def test_reads_a_folder_per_part_and_class(places, files, names):
    root = files.folder(places.data_dir / "pets", parts=names)
    raw = ImageFolder("pets").read(places)
    assert raw.classes == ("cat", "dog")
    assert raw.origin == ImageFolder("pets").find(places) == str(root)
    assert list(raw.parts) == ["train", "validation", "test"]
    assert raw.test.targets.tolist() == [0] * 6 + [1] * 6
    assert raw.train.shape == (3, 6, 8)
    last = decode(root / names[2] / "dog" / "0005.png", 3, None)
    assert torch.equal(raw.test.inputs[-1], torch.from_numpy(last) / 255)


def test_splits_a_folder_without_parts(tmp_path, files):
    root = files.folder(tmp_path / "flat", parts=("",), n=20)
    data = load(ImageFolder(root, size=4, channels=1))
    assert data.shape == (1, 4, 4)
    assert [len(p) for p in data.parts.values()] == [28, 4, 8]
    assert data.train.targets.bincount().tolist() == [14, 14]


def test_numbers_follow_the_alphabet_not_the_disk(tmp_path, files):
    root = files.folder(tmp_path / "x", classes=("b", "C", "a"))
    assert ImageFolder(root).read(Places()).classes == ("C", "a", "b")


def test_passes_over_hidden_files_and_other_things(tmp_path, files):
    root = files.folder(tmp_path / "x")
    (root / "train" / ".DS_Store").write_bytes(b"?")
    (root / "train" / "readme.txt").write_bytes(b"?")
    (root / "train" / "cat" / ".hidden.png").write_bytes(b"?")
    (root / "train" / "cat" / "Thumbs.db").write_bytes(b"?")
    (root / "train" / "cat" / "photo.JPEG").write_bytes(files.image(kind="JPEG"))
    assert len(ImageFolder(root).read(Places()).train) == 13


def test_images_of_different_sizes_need_a_size(tmp_path, files):
    root = files.folder(tmp_path / "x")
    (root / "train" / "dog" / "9.png").write_bytes(files.image((9, 9)))
    with pytest.raises(DataError, match=r"9\.png has 9x9 pixels, the first image 8x6; give a size"):
        load(ImageFolder(root))
    assert load(ImageFolder(root, size=5), test=0.3, validation=0).shape == (3, 5, 5)


def test_a_damaged_image_is_named_when_the_data_is_loaded(tmp_path, files):
    root = files.folder(tmp_path / "x", n=20)
    (root / "train" / "dog" / "0011.png").write_bytes(b"?")
    for budget in (2**30, 1):
        with pytest.raises(DataError, match=r"0011\.png is not a readable"):
            load(ImageFolder(root), memory_budget=budget)


def test_a_link_within_the_folder_is_fine(tmp_path, files):
    root = files.folder(tmp_path / "x")
    (root / "train" / "cat" / "link.png").symlink_to(root / "train" / "dog" / "0000.png")
    assert len(ImageFolder(root).read(Places()).train) == 13


@pytest.mark.parametrize("what", ["image", "class"])
def test_a_link_out_of_the_folder_is_refused(tmp_path, files, what):
    root = files.folder(tmp_path / "x")
    outside = files.folder(tmp_path / "outside")
    if what == "image":
        (root / "train" / "cat" / "link.png").symlink_to(outside / "train" / "cat" / "0000.png")
    else:
        (root / "train" / "link").symlink_to(outside / "train" / "cat")
    with pytest.raises(DataError, match="a link that leads out of"):
        ImageFolder(root).read(Places())


def test_the_folder_itself_may_be_a_link(tmp_path, files):
    files.folder(tmp_path / "x")
    (tmp_path / "link").symlink_to(tmp_path / "x")
    assert len(ImageFolder(tmp_path / "link").read(Places()).train) == 12


def empty_class(root, files):
    (root / "train" / "emu").mkdir()
    (root / "train" / "emu" / "notes.txt").write_bytes(b"?")


def one_class(root, files):
    (root / "train" / "dog").rename(root / "dog")


def nested(root, files):
    (root / "train" / "cat" / "more").mkdir()


def unread(root, files):
    (root / "train" / "cat" / "x.webp").write_bytes(b"?")


def broken_link(root, files):
    (root / "train" / "cat" / "x.png").symlink_to("gone.png")


def pipe(root, files):
    os.mkfifo(root / "train" / "cat" / "x.png")


def unknown_class(root, files):
    files.folder(root, parts=("test",), classes=("cat", "cow"))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (empty_class, "emu holds no image"),
        (one_class, "has 1 class folders"),
        (nested, "more is a folder inside a class folder"),
        (broken_link, r"x\.png is no regular file"),
        (pipe, r"x\.png is no regular file"),
        (unread, r"x\.webp is of a kind that is not read; convert"),
        (unknown_class, "test has the class 'cow', which .*train has not"),
    ],
)
def test_refuses_folders_that_are_not_right(tmp_path, files, change, sentence):
    root = files.folder(tmp_path / "x")
    change(root, files)
    with pytest.raises(DataError, match=sentence):
        ImageFolder(root).read(Places())


def test_refuses_what_is_not_there_or_a_file(places, tmp_path):
    assert ImageFolder("gone").find(places) is None
    with pytest.raises(DataError, match="gone does not exist"):
        ImageFolder("gone").read(places)
    (tmp_path / "file").write_bytes(b"?")
    with pytest.raises(DataError, match="is a file; an image folder is"):
        ImageFolder(tmp_path / "file").read(places)


def test_names_a_folder_that_may_not_be_read(tmp_path, files, monkeypatch):
    root = files.folder(tmp_path / "x")

    def refuse(path):
        raise PermissionError(f"not yours: {path}")

    monkeypatch.setattr("os.scandir", refuse)
    with pytest.raises(DataError, match=r"train cannot be read .*check who may read it"):
        ImageFolder(root).read(Places())


@pytest.mark.parametrize("settings", [{"channels": 2}, {"size": 0}, {"size": 5000}])
def test_refuses_settings_out_of_range(settings):
    with pytest.raises(ArgumentError, match="ImageFolder needs"):
        ImageFolder("x", **settings)


@pytest.mark.full_data
@pytest.mark.slow
def test_cifar10_as_jpeg_files(tmp_path):
    with tarfile.open(f"{os.environ['WELLPOSED_DATA']}/cifar10-jpeg.tar.xz") as archive:
        wanted = [m for m in archive if m.name.startswith("./test/") or m.name.startswith("test/")]
        archive.extractall(tmp_path, wanted[:2500], filter="data")
    data = load(ImageFolder(tmp_path / "test"), validation=0, test=0.2)
    assert data.shape == (3, 32, 32)
    np.testing.assert_allclose(data.standardization.mean, (0.49, 0.48, 0.45), atol=0.1)
