import gzip
import hashlib
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellposed.data._idx import read_idx
from wellposed.errors import DataError

VALUES = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


def header(*shape, kind=8):
    return bytes((0, 0, kind, len(shape))) + struct.pack(f">{len(shape)}I", *shape)


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gz"])
def test_reads_what_was_written(tmp_path, files, pack):
    path = tmp_path / "x"
    path.write_bytes(pack(files.idx(VALUES)))
    idx = read_idx(path, 3)
    np.testing.assert_array_equal(idx.values, VALUES)
    assert idx.sha256 == hashlib.sha256(files.idx(VALUES)).hexdigest()


BROKEN = {
    "empty": (b"", "begins with the bytes of no file"),
    "text": (b"hello, world, hello", "begins with the bytes 68 65 6c 6c"),
    "labels instead of images": (header(24) + bytes(24), "00 00 08 01"),
    "floats": (header(2, 3, 4, kind=0x0D) + bytes(96), "00 00 0d 03"),
    "cut in the header": (header(2, 3, 4)[:9], "ends within its header"),
    "no examples": (header(0, 3, 4), r"\(0, 3, 4\), which holds nothing"),
    "cut": (header(2, 3, 4) + bytes(20), "24 bytes of content and holds only 20"),
    "too long": (header(2, 3, 4) + bytes(25), "24 bytes of content and holds more"),
    "promises much": (header(2**31, 2**31, 2**31) + bytes(9), "can hold at most"),
}


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gz"])
@pytest.mark.parametrize(("content", "sentence"), BROKEN.values(), ids=BROKEN)
def test_refuses_a_broken_file(tmp_path, pack, content, sentence):
    path = tmp_path / "train-images"
    path.write_bytes(pack(content))
    with pytest.raises(DataError, match=sentence) as refusal:
        read_idx(path, 3)
    assert str(path) in str(refusal.value)


def test_refuses_what_is_not_there_or_no_file(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        read_idx(tmp_path / "gone", 3)
    with pytest.raises(DataError, match="cannot be read"):
        read_idx(tmp_path, 3)


@pytest.mark.parametrize("damage", ["cut", "checksum", "content", "tail"])
def test_refuses_damaged_gzip(tmp_path, files, damage):
    content = bytearray(gzip.compress(files.idx(np.arange(250, dtype=np.uint8))))
    if damage == "cut":
        content = content[:-9]
    elif damage == "checksum":
        content[-6] ^= 1
    elif damage == "content":
        content[20] ^= 255
    else:
        content += b"more"
    path = tmp_path / "x.gz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"x\.gz"):
        read_idx(path, 1)


def test_a_bomb_is_refused_before_it_unfolds(tmp_path):
    # 1.5 GiB of zeros in 1.5 MB, announced honestly; and one that announces too little.
    packer = gzip.zlib.compressobj(1, wbits=31)
    small = packer.compress(header(1536, 1024, 1024))
    small += b"".join(packer.compress(bytes(2**20)) for _ in range(200)) + packer.flush()
    honest, liar = tmp_path / "honest.gz", tmp_path / "liar.gz"
    honest.write_bytes(small + bytes(2 * 2**20))  # long enough for the ratio
    liar.write_bytes(gzip.compress(header(10, 10, 10) + bytes(2**26)))
    tracemalloc.start()
    for path in (honest, liar):
        with pytest.raises(DataError):
            read_idx(path, 3)
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()


@given(st.data())
def test_mutated_bytes_parse_or_are_refused(tmp_path, files, data):
    content = bytearray(files.idx(VALUES))
    if data.draw(st.booleans()):
        content = bytearray(gzip.compress(content, mtime=0))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)) | st.just(len(content)))
    path = tmp_path / "x"
    path.write_bytes(content[:cut] + data.draw(st.binary(max_size=5)))
    idx = files.read_or_refused(lambda: read_idx(path, 3), path)
    assert idx is None or idx.values.ndim == 3
