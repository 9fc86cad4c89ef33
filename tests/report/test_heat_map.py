import base64
import io
from xml.etree import ElementTree as ET

import numpy as np
from PIL import Image

from wellposed.report._heat_map import LEVELS, color_bar, heat_map, spot
from wellposed.report._palette import contrast


def picture(uri):
    head, data = uri.split(",")
    assert head == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


def test_x_goes_right_and_y_goes_up():
    values = np.zeros((4, 3))
    values[3, 2] = 1.0  # greatest x and y
    pixels = np.array(picture(heat_map(values, 0.0, 1.0)))
    assert pixels.shape == (6, 8)
    assert pixels[0, -1] == LEVELS - 1
    assert pixels[-1, 0] == pixels[0, 0] == pixels[-1, -1] == 0


def test_levels_are_equal_steps_and_what_is_outside_has_the_last_color():
    values = np.repeat(np.linspace(-1, 2, 301)[:, None], 3, axis=1)
    pixels = np.array(picture(heat_map(values, 0.0, 1.0)))[0]
    counts = np.bincount(pixels, minlength=LEVELS)
    assert len(counts) == LEVELS
    np.testing.assert_allclose(counts[1:-1], 602 / 3 / LEVELS, atol=1)
    assert counts[0] > 200
    assert counts[-1] > 200


def test_the_same_values_give_the_same_bytes_and_few_of_them():
    x, y = np.meshgrid(np.linspace(-1, 1, 121), np.linspace(-1, 1, 121), indexing="ij")
    one, other = (heat_map(x**2 + y, 0, 2) for _ in range(2))
    assert one == other
    assert len(one) < 20_000


def test_lightness_rises_from_level_to_level():
    # The scale is read in gray and with any color vision.
    bars = ET.fromstring(f"<svg>{color_bar(0, 1, 320)}</svg>").iter("rect")
    colors = [bar.attrib["fill"] for bar in bars]
    assert len(colors) == LEVELS
    from_black = [contrast(color, "#000000") for color in colors]
    assert (np.diff(from_black) > 0.1).all()


def test_the_bar_names_its_values_where_they_are():
    svg = ET.fromstring(f"<svg>{color_bar(0, 2, 300)}</svg>")
    at = {e.text: float(e.attrib["x"]) for e in svg.iter("text")}
    assert at["0"] == 0
    assert at["1"] == 150
    assert at["2"] == 300


def test_a_spot_is_light_on_dark():
    rings = list(ET.fromstring(f"<svg>{spot(3, 4)}</svg>").iter("circle"))
    assert [ring.attrib["stroke"] for ring in rings] == ["#000", "#fff"]
