import gzip
import io
import random
import tarfile
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellposed.data._tar import members
from wellposed.errors import DataError

FILES = {"a/one": b"1" * 700, "a/two": b"", "a/three": b"3" * 512, "b/one": b"4"}


def read(path, wanted=("a/one", "a/two", "a/three"), most=1000, total=10_000):
    return dict(members(path, wanted, most=most, total=total))


def test_gives_the_wanted_members(tmp_path, files):
    path = tmp_path / "x.tar.gz"
    path.write_bytes(files.tar(FILES))
    assert read(path) == {name: FILES[name] for name in ("a/one", "a/two", "a/three")}


def test_a_name_counts_only_as_it_stands(tmp_path, files):
    path = tmp_path / "x.tar.gz"
    path.write_bytes(files.tar({"../a/one": b"x", "/a/one": b"x", "a/./one": b"x", "a/one/": b""}))
    assert read(path) == {}
    assert [p.name for p in tmp_path.iterdir()] == ["x.tar.gz"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE])
def test_links_and_devices_are_passed_over(tmp_path, kind):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        info = tarfile.TarInfo("a/one")
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)
    path = tmp_path / "x.tar.gz"
    path.write_bytes(buffer.getvalue())
    assert read(path) == {}


def test_large_members_and_archives_are_refused(tmp_path, files):
    path = tmp_path / "x.tar.gz"
    path.write_bytes(files.tar(FILES))
    with pytest.raises(DataError, match="'a/one' announces 700 bytes; at most 600"):
        read(path, most=600)
    with pytest.raises(DataError, match="1500 in all"):
        read(path, wanted=(), total=1500)


def test_a_bomb_unfolds_within_bounds(tmp_path, files):
    path = tmp_path / "x.tar.gz"
    path.write_bytes(files.tar({"b/zeros": bytes(2**26)}))
    tracemalloc.start()
    with pytest.raises(DataError, match="announces 67108864 bytes"):
        read(path, total=2**25)
    assert read(path, total=2**27) == {}
    assert tracemalloc.get_traced_memory()[1] < 2**23
    tracemalloc.stop()


@pytest.mark.parametrize("keep", [0, 200, 512, 600, 1100, 1536])
def test_an_archive_that_ends_too_early_is_refused(tmp_path, files, keep):
    path = tmp_path / "x.tar.gz"
    path.write_bytes(gzip.compress(gzip.decompress(files.tar(FILES))[:keep]))
    with pytest.raises(DataError, match="ends too early"):
        read(path)


def test_a_cut_gzip_stream_is_refused(tmp_path, files):
    path = tmp_path / "x.tar.gz"
    whole = files.tar({**FILES, "b/noise": random.Random(0).randbytes(5000)})
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"cannot be read|ends too early"):
        read(path)


@pytest.mark.parametrize("content", [b"x" * 512, b"\x01" + bytes(511)], ids=["text", "no checksum"])
def test_what_is_no_archive_is_refused(tmp_path, content):
    path = tmp_path / "x.tar.gz"
    path.write_bytes(gzip.compress(content))
    with pytest.raises(DataError, match="not a tar archive"):
        read(path)
    path.write_bytes(content)
    with pytest.raises(DataError, match="cannot be read"):
        read(path)


@given(st.data())
def test_mutated_bytes_parse_or_are_refused(tmp_path, files, data):
    content = bytearray(gzip.decompress(files.tar(FILES)))
    for _ in range(data.draw(st.integers(1, 6))):
        block = 512 * data.draw(st.integers(0, 6))
        content[block + data.draw(st.integers(0, 160))] = data.draw(st.integers(0, 255))
    path = tmp_path / "x.tar.gz"
    path.write_bytes(gzip.compress(content, 1))
    found = files.read_or_refused(lambda: read(path), path)
    assert set(found or ()) <= set(FILES)
