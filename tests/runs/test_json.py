import json
import math
import struct
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellposed.errors import ArgumentError, RunFolderError
from wellposed.runs._json import dumps, loads

finite = st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | finite | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(value=values)
def test_round_trip(value):
    assert loads(dumps(value), "x") == value


@given(value=finite)
def test_floats_keep_every_bit(value):
    assert struct.pack("d", loads(dumps(value), "x")) == struct.pack("d", value)


@given(value=values)
def test_any_strict_parser_reads_it_on_one_line(value):
    def refuse(token):
        raise AssertionError(token)

    text = dumps({"value": value})
    assert len(text.splitlines()) == 1
    assert text.isascii()
    assert json.loads(text, parse_constant=refuse) == {"value": value}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (math.inf, '"inf"'),
        (-math.inf, '"-inf"'),
        (math.nan, '"nan"'),
        (np.float64("nan"), '"nan"'),
        (np.float32(0.5), "0.5"),
        (np.int64(3), "3"),
        (np.bool_(True), "true"),
        (np.array(2.0), "2.0"),
        (Path("a/b"), '"a/b"'),
        ((1, 2), "[1,2]"),
        ({1: 2}, '{"1":2}'),
    ],
    ids=range(11),
)
def test_what_json_lacks_has_a_form(value, text):
    assert dumps(value) == text


def test_rest_is_refused():
    with pytest.raises(ArgumentError, match="a ndarray has no JSON form"):
        dumps({"weights": np.zeros(3)})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("NaN", "NaN is not JSON"),
        ("[-Infinity]", "-Infinity is not JSON"),
        ('{"a": 1, "a": 2}', "names a key twice"),
        ('{"a": ', "Expecting value"),
        (b'"\xff"', "can't decode"),
        ("[" * 100_000, "nested too deeply"),
        ("1" * 5000, "Exceeds the limit"),
        ("", "Expecting value"),
    ],
    ids=range(8),
)
def test_damage_is_named(text, reason):
    with pytest.raises(RunFolderError, match=rf"results.json is damaged: .*{reason}.*; restore it"):
        loads(text, "results.json")


@given(data=st.binary())
def test_garbage_is_refused_or_read_never_worse(data):
    with suppress(RunFolderError):
        loads(data, "x")
