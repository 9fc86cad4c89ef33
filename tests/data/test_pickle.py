import os
import pickle
import pickletools
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellposed.data._pickle import read_pickle
from wellposed.errors import DataError

HERE = Path("batch")

# As Python 2 wrote it: strings are bytes, and an array is rebuilt from a string.
PYTHON2 = (
    b"\x80\x02}q\x01(U\x04dataq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\n"
    b"q\x04K\x00\x85U\x01b\x87Rq\x05(K\x01K\x02K\x03\x86cnumpy\ndtype\nq\x06U\x02u1K\x00K\x01\x87"
    b"Rq\x07(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x06abcdeftb"
    b"U\x06labelsq\x08]q\x09(K\x01M\x05\x01J\x02\x00\x00\x00eu."
)

plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**31), 2**31 - 1) | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text() | st.integers(0, 99), inner, max_size=4)
        | st.tuples(inner, inner)
    ),
    max_leaves=12,
)


def test_reads_what_python_2_wrote():
    value = read_pickle(PYTHON2, HERE)
    np.testing.assert_array_equal(value[b"data"], np.frombuffer(b"abcdef", np.uint8).reshape(2, 3))
    assert value[b"labels"] == [1, 261, 2]
    assert pickle.loads(PYTHON2, encoding="bytes")[b"labels"] == [1, 261, 2]


@pytest.mark.parametrize("protocol", [2, 3, 4])
@given(value=plain)
def test_reads_plain_values_as_pickle_does(protocol, value):
    assert read_pickle(pickle.dumps(value, protocol=protocol), HERE) == value


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_reads_arrays_of_bytes(protocol):
    values = np.arange(200, dtype=np.uint8).reshape(50, 4)
    found = read_pickle(pickle.dumps({"data": values, "n": [1]}, protocol=protocol), HERE)
    np.testing.assert_array_equal(found["data"], values)
    alone = read_pickle(pickle.dumps(values, protocol=protocol), HERE)
    np.testing.assert_array_equal(alone, values)


class Evil:
    def __reduce__(self):
        return os.system, ("touch pwned",)


HOSTILE = {
    "a call": pickle.dumps(Evil(), 2),
    "a call, protocol 4": pickle.dumps(Evil(), 4),
    "eval": b"\x80\x02cbuiltins\neval\nU\x011\x85R.",
    "a name built on the stack": b"\x80\x04\x8c\x02os\x8c\x06system\x93.",
    "a name that is a tuple": b"\x80\x04)\x8c\x06system\x93.",
    "an array of objects": pickle.dumps(np.array([None, 1]), 4),
    "an array of floats": pickle.dumps(np.zeros(3), 4),
    "an array by columns": pickle.dumps(np.asfortranarray(np.zeros((2, 3), np.uint8)), 4),
    "a dtype with fields": pickle.dumps(np.dtype([("a", "u1")]), 4),
    "an instance": b"\x80\x02(i__main__\nEvil\n.",
    "a persistent id": b"\x80\x02Pabc\n.",
    "an extension": b"\x80\x02\x82\x01.",
    "a set": pickle.dumps({1, 2}, 4),
    "a frozen key": b"\x80\x02}(K\x01K\x02\x86K\x03u.",
    "state for a list": b"\x80\x02]K\x01b.",
    "items for a number": b"\x80\x02K\x01(K\x02e.",
    "pairs for a number": b"\x80\x02K\x01K\x02K\x03s.",
    "half a pair": b"\x80\x02}(K\x02u.",
    "no stop": b"\x80\x02]",
    "nothing": b"",
    "an empty stack": b"\x80\x02.",
    "no mark": b"\x80\x02K\x01e.",
    "a tuple of too little": b"\x80\x02\x87.",
    "an unknown memo": b"\x80\x02h\x07.",
    "a name without end": b"\x80\x02cnumpy",
    "bytes that promise much": b"\x80\x04\x8e" + struct.pack("<Q", 2**60) + b"abc.",
    "text that is none": b"\x80\x02X\x01\x00\x00\x00\xff.",
    "an encoder for a number": b"\x80\x02c_codecs\nencode\nK\x01X\x06\x00\x00\x00latin1\x86R.",
    "calling a number": b"\x80\x02K\x01)R.",
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_builds_nothing_else(content, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="batch is not a pickle of plain arrays"):
        read_pickle(content, HERE)
    assert not list(tmp_path.iterdir())


def array(shape, content=b"abcdef", fortran=b"\x89"):
    return PYTHON2.replace(b"K\x02K\x03\x86", shape).replace(
        b"\x89U\x06abcdef", fortran + b"U" + bytes([len(content)]) + content
    )


@pytest.mark.parametrize(
    "content",
    [
        array(b"K\x03K\x03\x86"),
        array(b"J\xff\xff\xff\xffJ\xfa\xff\xff\xff\x86"),
        array(b"K\x06"),
        array(b"J\xff\xff\xff\x7fK\x01\x85\x86"),  # a number times a tuple is a long tuple
        array(b"(K\x01K\x01K\x01K\x01K\x06t"),
        array(b"K\x02K\x03\x86", fortran=b"\x88"),
    ],
)
def test_refuses_arrays_whose_shape_is_not_that_of_their_bytes(content):
    with pytest.raises(DataError, match="an array that is not one of plain bytes"):
        read_pickle(content, HERE)


def bomb_of_text():
    text = b"X" + struct.pack("<I", 2**20) + b"x" * 2**20 + b"q\x01"
    latin1 = b"X\x06\x00\x00\x00latin1q\x02"
    encode = b"c_codecs\nencode\nq\x03"
    return b"\x80\x02" + text + latin1 + encode + b"(" + b"h\x03h\x01h\x02\x86R" * 5000 + b"t."


def bomb_of_tuples():
    return b"\x80\x02)" + b"".join(
        b"r" + struct.pack("<I", k) + b"j" + struct.pack("<I", k) + b"\x86" for k in range(60)
    )


BOMBS = {
    "one text, encoded again and again": bomb_of_text(),
    "a memo with a huge number": b"\x80\x02]r\xff\xff\xff\x7f.",
    "tuples of tuples, called": b"\x80\x02c_codecs\nencode\n" + bomb_of_tuples()[2:] + b"R.",
    "tuples of tuples, as a key": b"\x80\x02}" + bomb_of_tuples()[2:] + b"Ns.",
    "tuples of tuples, as a name": bomb_of_tuples() + b"q\x01h\x01\x93.",
    "tuples of tuples, as a shape": array(bomb_of_tuples()[2:]),
    "deep nesting": b"\x80\x02" + b")" + b"\x85" * 50_000 + b"Ns.",
}


@pytest.mark.parametrize("content", BOMBS.values(), ids=BOMBS)
def test_stays_small(files, content):
    tracemalloc.start()
    files.read_or_refused(lambda: read_pickle(content, HERE), HERE)
    assert tracemalloc.get_traced_memory()[1] < 64 * 2**20
    tracemalloc.stop()


@given(st.data())
def test_mutated_bytes_parse_or_are_refused(files, data):
    content = bytearray(PYTHON2)
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    files.read_or_refused(lambda: read_pickle(bytes(content), HERE), HERE)


@given(st.binary(max_size=60))
def test_any_bytes_parse_or_are_refused(files, content):
    files.read_or_refused(lambda: read_pickle(content, HERE), HERE)


@given(
    st.lists(st.sampled_from([o.code.encode("latin1") for o in pickletools.opcodes]), max_size=40)
)
def test_any_program_ends_or_is_refused(files, codes):
    files.read_or_refused(lambda: read_pickle(b"".join(codes), HERE), HERE)
