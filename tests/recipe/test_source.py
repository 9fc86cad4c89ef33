import numpy as np
import pytest
from PIL import Image

from wellposed.data import XOR, Digits, ImageFolder
from wellposed.errors import ArgumentError, DataError, RecipeError
from wellposed.recipe import dataset, other_data, restore, source


def test_a_source_by_name_with_arguments():
    assert source("digits") == Digits()
    assert source("xor", ["n=50", "noise=0.1"]) == XOR(n=50, noise=0.1)
    assert source("imagefolder", path="a 'b'", size=3) == ImageFolder("a 'b'", 3)


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("digit", [], "no dataset is called 'digit'; did you mean 'digits'"),
        ("xor", ["m=3"], "XOR has no argument 'm'"),
        ("xor", ["n"], "a setting reads key=value"),
        ("xor", ["n=3"], "XOR needs n >= 20"),
        ("npz", [], "^dataset npz: NPZ needs path"),
    ],
)
def test_what_is_no_source_is_refused(name, settings, words):
    with pytest.raises(RecipeError, match=words):
        source(name, settings)


def test_other_data_are_standardized_as_the_network_s_own(finished):
    restored = restore(finished)
    own = dataset(restored.recipe)
    other = other_data(restored, "digits")
    assert other.parts.keys() == {"train"}
    assert other.standardization == own.standardization
    raw = own.standardization.undo(own.test.inputs)
    assert other.train.inputs.min() == own.train.inputs.min()
    assert len(other.train) == 1797
    assert raw.min() >= -1e-6


def write_photos(folder, classes, side=16):
    for name in classes:
        (folder / name).mkdir(parents=True)
        for number in range(3):
            pixels = np.full((side, side), 20 * number, dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")


def test_a_folder_of_images_is_resized(finished, tmp_path):
    write_photos(tmp_path / "photos", "0123456789")
    found = other_data(restore(finished), str(tmp_path / "photos"))
    assert found.train.shape == (1, 8, 8)
    assert len(found.train) == 30


def test_an_npz_file_is_taken(finished, tmp_path):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "a.npz", x=rng.random((40, 1, 8, 8)), y=np.arange(40) % 10)
    assert len(other_data(restore(finished), str(tmp_path / "a.npz")).train) == 40
    np.savez(tmp_path / "b.npz", x=rng.random((40, 1, 9, 8)), y=np.arange(40) % 10)
    with pytest.raises(DataError, match=r"has inputs of shape \(1, 9, 8\), the network takes"):
        other_data(restore(finished), str(tmp_path / "b.npz"))


def test_other_classes_are_refused(finished, tmp_path):
    write_photos(tmp_path / "photos", [f"class-{k:02d}" for k in range(14)])
    with pytest.raises(DataError, match=r"has the classes class-00, .* \.\.\. \(14\), the"):
        other_data(restore(finished), str(tmp_path / "photos"))


def test_a_network_of_points_takes_no_folder_of_images(points, tmp_path):
    (tmp_path / "photos").mkdir()
    with pytest.raises(ArgumentError, match="but a folder of images gives square ones"):
        other_data(restore(points), str(tmp_path / "photos"))


@pytest.mark.parametrize(
    ("name", "words"),
    [("no/such", "no/such does not exist; give"), ("a.txt", "a.txt is a file of another kind")],
)
def test_a_path_that_cannot_be_data_is_not_taken_for_a_name(
    finished, tmp_path, monkeypatch, name, words
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").touch()
    with pytest.raises(DataError, match=words):
        other_data(restore(finished), name)
