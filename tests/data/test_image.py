import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from wellposed.data import read_image
from wellposed.data._image import decode
from wellposed.errors import ArgumentError, DataError


def chunk(kind, content):
    checksum = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + checksum


def png(width, height, content=b""):
    """A PNG that announces a size and holds this content."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(content)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.fixture
def put(tmp_path):
    def put(content, name="x.png"):
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    return put


def encoded(picture, kind="PNG", **options):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("channels", [1, 3])
def test_reads_pixels_channels_first(put, channels):
    values = np.random.default_rng(0).integers(0, 256, (6, 8, 3)).astype(np.uint8)
    values = values if channels == 3 else values[:, :, 0]
    found = decode(put(encoded(Image.fromarray(values))), channels, None)
    expected = np.atleast_3d(values).transpose(2, 0, 1)
    np.testing.assert_array_equal(found, expected)
    x = read_image(put(encoded(Image.fromarray(values))), (channels, 6, 8))
    assert torch.equal(x, torch.from_numpy(expected / np.float32(255)))


def test_reads_jpeg(put, files):
    assert decode(put(files.image(kind="JPEG"), "x.jpg"), 3, None).shape == (3, 6, 8)


def test_color_becomes_gray_and_gray_color(put, files):
    assert decode(put(files.image(mode="RGB")), 1, None).shape == (1, 6, 8)
    gray = decode(put(files.image(mode="L")), 3, None)
    assert (gray[0] == gray[2]).all()


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "1", "CMYK"])
def test_other_modes_are_converted(put, mode):
    kind = "JPEG" if mode == "CMYK" else "PNG"
    picture = Image.new(mode, (8, 6), 1 if mode in ("P", "1") else None)
    assert decode(put(encoded(picture, kind)), 3, None).shape == (3, 6, 8)


def test_sixteen_bits_are_scaled_not_clipped(put):
    values = np.array([[0, 257, 32896, 65535]], np.uint16)
    assert decode(put(encoded(Image.fromarray(values))), 1, None).tolist() == [[[0, 1, 128, 255]]]


def test_the_middle_is_resized(put):
    # Three vertical thirds; the middle square of a 30x10 image is the middle third.
    values = np.repeat(np.array([[0, 100, 200]], np.uint8), 10, axis=0).repeat(10, axis=1)
    found = decode(put(encoded(Image.fromarray(values))), 1, (5, 5))
    assert found.shape == (1, 5, 5)
    assert (found[:, :, 1:4] == 100).all()  # the outermost pixels blend with what is beside them


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_shrinking_averages(put, kind):
    values = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    found = decode(put(encoded(Image.fromarray(values), kind)), 1, (4, 4))
    assert abs(int(found.mean()) - 127) <= 2


def test_the_camera_orientation_is_obeyed(put):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned
    picture = Image.new("L", (8, 6))
    assert decode(put(encoded(picture, "JPEG", exif=exif), "x.jpg"), 1, None).shape == (1, 8, 6)


BROKEN = {
    "empty": b"",
    "text": b"hello",
    "gif": encoded(Image.new("L", (3, 3)), "GIF"),
    "no pixels": png(0, 5),
    "no end": png(8, 8, bytes(72))[:-30],
    "promises more than it holds": png(5000, 5000, bytes(100)),
    "jpeg cut": encoded(Image.effect_noise((40, 40), 90), "JPEG")[:400],
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_refuses_broken_images(put, content):
    with pytest.raises(DataError, match=r"x\.png is not a readable PNG or JPEG"):
        decode(put(content), 3, None)


def test_refuses_what_is_not_there(tmp_path):
    with pytest.raises(DataError, match=r"gone\.png"):
        read_image(tmp_path / "gone.png", (3, 8, 8))


def test_refuses_other_channels(put, files):
    with pytest.raises(ArgumentError, match="1 or 3 channels"):
        read_image(put(files.image()), (2, 8, 8))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("side", [9000, 60_000, 2**31 - 1])
def test_enormous_images_are_refused_before_they_unfold(put, side):
    tracemalloc.start()
    with pytest.raises(DataError, match=r"x\.png"):
        decode(put(png(side, side, bytes(1000))), 1, (8, 8))
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()


def test_a_text_bomb_in_a_png_is_bounded(put):
    text = chunk(b"zTXt", b"note\0\0" + zlib.compress(bytes(2**27)))
    content = png(8, 8, bytes(72))
    tracemalloc.start()
    with pytest.raises(DataError, match=r"x\.png"):
        decode(put(content[:33] + text + content[33:]), 1, None)
    assert tracemalloc.get_traced_memory()[1] < 2**23
    tracemalloc.stop()


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@given(data=st.data())
def test_mutated_bytes_parse_or_are_refused(put, files, kind, data):
    content = bytearray(files.image(kind=kind))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = put(content[: data.draw(st.integers(20, len(content)) | st.just(len(content)))])
    pixels = files.read_or_refused(lambda: decode(path, 3, (6, 8)), path)
    assert pixels is None or pixels.shape == (3, 6, 8)


def test_a_folder_is_no_image(tmp_path):
    with pytest.raises(DataError, match="is no plain file"):
        decode(tmp_path, 3, None)
