import json

import pytest

from wellposed import data as package
from wellposed.data import MNIST, NPZ, ImageFolder, Source, UserSource, available, check, fetch
from wellposed.data._catalogue import NAMED
from wellposed.errors import ArgumentError, DataError, UnknownNameError


def test_lists_every_source_that_needs_no_arguments():
    public = {v for v in vars(package).values() if isinstance(v, type) and issubclass(v, Source)}
    needing = {Source, package.Downloadable, ImageFolder, NPZ, UserSource}
    assert public - needing == set(NAMED)
    assert len({kind.name for kind in NAMED}) == len(NAMED)


def test_says_where_each_is(places, files):
    files.mnist(places.data_dir / "mnist")
    found = dict(available(places))
    assert found["mnist"] == str(places.data_dir / "mnist")
    assert found["fashion-mnist"] is None
    assert found["cifar10"] is None
    assert found["digits"].startswith("scikit-learn")
    assert found["peaks"].startswith("generated")
    assert available()[0][0] == "digits"


def test_fetch_finds_or_refuses(places, files):
    files.mnist(places.data_dir / "mnist")
    assert fetch("mnist", places) == str(places.data_dir / "mnist")
    with pytest.raises(DataError, match="downloads are off"):
        fetch("fashion-mnist", places)
    with pytest.raises(ArgumentError, match=r"digits needs no download: scikit-learn"):
        fetch("digits")
    with pytest.raises(UnknownNameError, match="did you mean 'fashion-mnist'"):
        fetch("fashon-mnist", places)


def test_check_reports_what_was_read(places, files):
    files.mnist(places.data_dir / "mnist")
    report = check(MNIST(), places)
    assert report.name == "mnist"
    assert report.published is False
    assert report.license == "CC BY-SA 3.0"
    assert report.shape == (1, 28, 28)
    assert report.parts["train"].n == 100
    assert report.parts["test"].classes == (2,) * 10
    assert len(report.parts["test"].sha256) == 64
    assert json.loads(json.dumps(report.to_dict()))["parts"]["train"]["classes"] == [10] * 10


def test_check_refuses_damage(places, files):
    files.mnist(places.data_dir / "mnist")
    (places.data_dir / "mnist" / "train-images-idx3-ubyte.gz").write_bytes(b"?")
    with pytest.raises(DataError, match="train-images-idx3-ubyte"):
        check(MNIST(), places)
