import io
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellposed.data import _npz_archive as module
from wellposed.data._npz_archive import open_archive
from wellposed.errors import DataError

ARRAY = np.arange(60, dtype=np.float32).reshape(3, 20)


def npy(shape, descr="<f4", content=b"", fortran="False", version=(1, 0)):
    text = f"{{'descr': {descr!r}, 'fortran_order': {fortran}, 'shape': {shape}, }}".encode()
    text += b" " * (63 - (len(text) + 10) % 64) + b"\n"
    return b"\x93NUMPY" + bytes(version) + struct.pack("<H", len(text)) + text + content


@pytest.fixture
def put(tmp_path):
    def put(members, how=zipfile.ZIP_DEFLATED):
        path = tmp_path / "x.npz"
        with zipfile.ZipFile(path, "w", how) as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        return path

    return put


def read(path, name="a", kinds="buif"):
    with open_archive(path) as archive:
        return archive.array(name, kinds)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("kind", ["f4", ">f8", "u1", "?", "i8", "U5"])
def test_reads_what_numpy_writes(tmp_path, save, order, kind):
    values = np.array(ARRAY.astype(kind), order=order)
    save(tmp_path / "x.npz", a=values)
    found = read(tmp_path / "x.npz", kinds="U" if kind == "U5" else "buif")
    np.testing.assert_array_equal(found, values)
    assert found.dtype == values.dtype


@pytest.mark.parametrize("order", ["C", "F"])
def test_large_stored_arrays_are_mapped(tmp_path, monkeypatch, order):
    monkeypatch.setattr(module, "MAPPED_BYTES", 200)
    values = np.array(ARRAY, order=order)
    np.savez(tmp_path / "x.npz", b=np.zeros(7), a=values)
    found = read(tmp_path / "x.npz")
    assert isinstance(found, np.memmap) == (order == "C")
    np.testing.assert_array_equal(found, values)


def test_only_the_wanted_array_is_unpacked_and_nothing_is_written(put, tmp_path):
    path = put({"../a.npy": b"?", "/etc/passwd": b"?", "a.npy": npy((2,), content=bytes(8))})
    with open_archive(path) as archive:
        assert archive.names == ("../a", "a")
    assert read(path).tolist() == [0, 0]
    assert [p.name for p in tmp_path.iterdir()] == ["x.npz"]


BROKEN = {
    "promises more": (npy((2**40,), content=bytes(8)), "announces 4398046511"),
    "promises less": (npy((1,), content=bytes(8)), "truncated or hostile"),
    "overflow": (npy((2**62, 2**62), content=bytes(8)), "truncated or hostile"),
    "negative": (npy((-1, 2), content=bytes(8)), r"announces the shape \(-1, 2\)"),
    "objects": (npy((1,), "|O", content=bytes(8)), "holds object values; numbers would be"),
    "text": (npy((1,), "<U2", content=bytes(8)), "holds <U2 values; numbers would be"),
    "fields": (npy((1,), [("a", "<f8")], content=bytes(8)), "numbers would be right"),
    "version": (npy((2,), content=bytes(8), version=(9, 0)), r"format \(9, 0\)"),
    "no array": (b"hello", "cannot be read"),
    "no header": (b"\x93NUMPY\x01\x00\xff\xffabc", "cannot be read"),
    "code": (npy("(__import__('os'),)"), "cannot be read"),
    "nested": (b"\x93NUMPY\x01\x00" + struct.pack("<H", 9000) + b"(" * 9000, "cannot be read"),
}


@pytest.mark.parametrize("how", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize(("content", "sentence"), BROKEN.values(), ids=BROKEN)
def test_refuses_broken_arrays(put, how, content, sentence):
    with pytest.raises(DataError, match=sentence) as refusal:
        read(put({"a.npy": content}, how))
    assert "x.npz" in str(refusal.value)


def test_refuses_pickles_without_reading_them(tmp_path):
    np.savez(tmp_path / "x.npz", a=np.array([None, {}], dtype=object))
    with pytest.raises(DataError, match="holds object values"):
        read(tmp_path / "x.npz")


def test_refuses_what_is_no_archive(tmp_path):
    path = tmp_path / "x.npz"
    path.write_bytes(b"hello")
    with pytest.raises(DataError, match=r"cannot be read as \.npz"):
        read(path)
    with pytest.raises(DataError, match=r"cannot be read as \.npz"):
        read(tmp_path)


def test_refuses_other_ways_of_packing(put):
    with pytest.raises(DataError, match="in a way NumPy never uses"):
        read(put({"a.npy": npy((2,), content=bytes(8))}, zipfile.ZIP_LZMA))


def test_refuses_a_wrong_checksum(put):
    path = put({"a.npy": npy((2,), content=b"12345678")}, zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b"12345678", b"12345679"))
    with pytest.raises(DataError, match="Bad CRC-32"):
        read(path)


def test_a_bomb_is_refused_before_it_unfolds(put, monkeypatch):
    monkeypatch.setattr(module, "MOST_BYTES", 2**24)
    path = put({"a.npy": npy((2**26,), "|u1", bytes(2**26))})
    assert path.stat().st_size < 2**17
    tracemalloc.start()
    with pytest.raises(DataError, match="unpacks to 67108864 bytes, at most 16777216"):
        read(path)
    assert tracemalloc.get_traced_memory()[1] < 2**21
    tracemalloc.stop()


def test_a_lying_directory_is_refused(put):
    # The directory and the header agree on a size that no deflate stream of this length has.
    content = npy((2**30,), "|u1", bytes(100))
    path = put({"a.npy": content})
    true, false = struct.pack("<I", len(content)), struct.pack("<I", len(content) - 100 + 2**30)
    path.write_bytes(path.read_bytes().replace(true, false))
    with pytest.raises(DataError, match="truncated or hostile"):
        read(path)


@given(st.data())
def test_mutated_bytes_parse_or_are_refused(tmp_path, files, data):
    buffer = io.BytesIO()
    data.draw(st.sampled_from([np.savez, np.savez_compressed]))(buffer, a=ARRAY)
    content = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "x.npz"
    path.write_bytes(content)
    found = files.read_or_refused(lambda: read(path), "x.npz")
    assert found is None or found.size <= 10 * ARRAY.size
