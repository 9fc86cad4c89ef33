import base64
import io
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from wellposed.report._pictures import Album, png_fault
from wellposed.runs import RunFolder


def pillow(side=8, mode="L", kind="PNG", **more):
    stream = io.BytesIO()
    Image.new(mode, (side, side)).save(stream, kind, **more)
    return stream.getvalue()


def chunk(kind, data):
    whole = kind + data
    return struct.pack(">I", len(data)) + whole + struct.pack(">I", zlib.crc32(whole))


@pytest.fixture
def folder(tmp_path):
    return RunFolder.create(tmp_path / "run", kind="run", recipe="", provenance={})


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1"])
def test_pictures_of_pillow_are_fit(mode):
    assert png_fault(pillow(mode=mode)) == ""


def test_own_pictures_are_fit(make_png):
    assert png_fault(make_png([[0, 255], [255, 0]])) == ""


WHOLE = pillow()


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", "it is not a PNG file"),
        (b"<svg onload='alert(1)'/>", "it is not a PNG file"),
        (pillow(kind="JPEG"), "it is not a PNG file"),
        (WHOLE[:-5], "it is cut off"),
        (WHOLE[:8], "it is cut off"),
        (WHOLE[:33], "it is cut off"),
        (WHOLE + b"PK", "it is cut off"),
        (WHOLE[:20] + b"\x07" + WHOLE[21:], "a checksum in it is wrong"),
        (pillow(side=2000), "it has 2000 x 2000 pixels, more than 1024"),
        (WHOLE[:33] + chunk(b"tEXt", b"a\0b") + WHOLE[33:], "it holds more than pixels"),
        (WHOLE[:8] + chunk(b"IHDR", b"") + chunk(b"IEND", b""), "it is cut off"),
        (WHOLE[:33] + chunk(b"IEND", b""), "it is cut off"),
        (
            WHOLE[:8] + chunk(b"IHDR", b"\0" * 4) + chunk(b"IDAT", b"") + chunk(b"IEND", b""),
            "cut off",
        ),
    ],
    ids=range(13),
)
def test_anything_else_is_refused(data, fault):
    assert fault in png_fault(data)


@given(at=st.integers(0, len(WHOLE) - 1), value=st.integers(0, 255))
def test_every_changed_byte_is_noticed(at, value):
    changed = WHOLE[:at] + bytes([value]) + WHOLE[at + 1 :]
    assert (png_fault(changed) == "") == (changed == WHOLE)


@given(data=st.binary())
def test_garbage_never_raises(data):
    assert png_fault(b"\x89PNG\r\n\x1a\n" + data)


def test_picture_is_embedded(folder):
    folder.write("pictures/a.png", WHOLE)
    uri = Album().embed(folder, "pictures/a.png")
    assert base64.b64decode(uri.removeprefix("data:image/png;base64,")) == WHOLE
    assert Album().embed(folder, None) is None


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("pictures/none.png", "does not exist"),
        ("../../etc/passwd", "not a name inside a run folder"),
        ("pictures/text.png", "it is not a PNG file"),
        ("pictures/huge.png", "MiB are read"),
    ],
    ids=range(4),
)
def test_unfit_picture_is_left_out_with_a_reason(folder, name, reason):
    folder.write("pictures/text.png", "hello")
    folder.write("pictures/huge.png", bytes(200_000))
    album = Album()
    assert album.embed(folder, name) is None
    assert reason in album.refused[0]


def test_budget_is_kept(folder):
    folder.write("pictures/a.png", WHOLE)
    album = Album(budget=250)
    shown = [album.embed(folder, "pictures/a.png") for _ in range(5)]
    assert sum(len(uri) for uri in shown if uri) <= 250
    assert shown[0] is not None
    assert shown[-1] is None
    assert "too large" in album.refused[-1]
