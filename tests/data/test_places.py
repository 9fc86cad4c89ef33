from pathlib import Path

import pytest

from wellposed.data import Places
from wellposed.errors import ArgumentError, DataError


def test_search_order(tmp_path, monkeypatch):
    monkeypatch.setenv("WELLPOSED_DATA", str(tmp_path / "named"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    found = Places(tmp_path).folders
    assert found[:2] == (tmp_path, tmp_path / "named")
    assert found[2].name == "data"
    assert found[3:] == (Path("/usr/share/datasets"),)


def test_a_folder_named_twice_is_searched_once(tmp_path, monkeypatch):
    monkeypatch.setenv("WELLPOSED_DATA", str(tmp_path))
    assert Places(str(tmp_path), system=()).folders.count(tmp_path) == 1


def test_the_environment_sets_the_defaults(monkeypatch):
    monkeypatch.setenv("WELLPOSED_OFFLINE", "1")
    monkeypatch.setenv("WELLPOSED_MIRROR", "http://here")
    assert Places().offline
    assert Places().mirror == "http://here"
    monkeypatch.setenv("WELLPOSED_OFFLINE", "")
    monkeypatch.delenv("WELLPOSED_MIRROR")
    assert not Places().offline
    assert Places().mirror is None


def test_the_first_folder_wins_over_the_first_name(places):
    for path in (places.cache / "a", places.data_dir / "b"):
        path.mkdir(parents=True)
    assert places.find(["a", "b"]) == places.data_dir / "b"
    assert places.find(["c"]) is None


def test_locate_takes_paths_as_they_are_or_below_a_place(places, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    (places.data_dir / "there").mkdir()
    assert places.locate("here") == Path("here")
    assert places.locate("there") == places.data_dir / "there"
    assert places.locate(tmp_path / "here") == tmp_path / "here"


def test_locate_says_where_it_looked(places, tmp_path):
    with pytest.raises(DataError, match=f"nor below {places.data_dir}"):
        places.locate("nowhere")
    with pytest.raises(DataError, match="nowhere does not exist here; check"):
        places.locate(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b", ""])
def test_impossible_names_are_nowhere(places, name):
    assert places.find([name + "/x"]) is None
    with pytest.raises(DataError, match="does not exist"):
        places.locate(name + "/x")


def test_a_data_folder_that_does_not_exist_is_a_mistake(tmp_path):
    with pytest.raises(DataError, match="does not exist; name an existing folder"):
        Places(tmp_path / "typo")


def test_a_mirror_is_an_address():
    with pytest.raises(ArgumentError, match="http"):
        Places(mirror="ftp.example.org")
