from xml.etree import ElementTree as ET

import numpy as np
import pytest

from wellposed.pde import Grid
from wellposed.report._relaxed_figure import Row, Words, relaxed_figure

WORDS = Words("title", "description", ["<one>", "two"])


def figure(sides, times=(0.1, 0.2), *, narrow=False):
    grid = Grid.box(*sides)
    f = ((grid.points - 0.5) ** 2).sum(axis=0)
    rows = [Row(f"e{k}", "asks", [f, *(f + t for t in times)]) for k in range(4)]
    return ET.fromstring(str(relaxed_figure(WORDS, grid, times, rows, narrow=narrow)))


LINE, PLANE = ((-1, 1, 41),), ((-1, 1, 21), (-1, 1, 11))


@pytest.mark.parametrize("sides", [LINE, PLANE], ids=["1d", "2d"])
@pytest.mark.parametrize("narrow", [False, True], ids=["wide", "narrow"])
def test_it_says_what_it_is(sides, narrow):
    svg = figure(sides, narrow=narrow)
    assert svg.attrib["role"] == "img"
    assert svg.find("title").text == "title"
    assert svg.find("desc").text == "description"
    words = [e.text for e in svg.iter("text")]
    assert [w for w in words if w in {"e0", "e1", "e2", "e3"}] == ["e0", "e1", "e2", "e3"]
    assert words[-2:] == ["<one>", "two"]
    assert {"loss", "t = 0.1", "t = 0.2"} <= set(words)


def test_every_equation_has_a_curve_for_the_loss_and_one_for_each_time():
    svg = figure(LINE)
    looks = [e.attrib["class"] for e in svg.iter("path")]
    assert looks.count("ground") == 5  # four panels and the legend
    assert looks.count("line tone-0") == looks.count("line tone-1") == 5


def test_every_equation_has_a_picture_of_the_loss_and_one_for_each_time():
    svg = figure(PLANE)
    pictures = [e.attrib["href"] for e in svg.iter("image")]
    assert len(pictures) == 4 * 3
    assert len(set(pictures)) == 3
    rings = [e for e in svg.iter("circle") if e.attrib["stroke"] == "#fff"]
    image = next(svg.iter("image"))
    for ring in rings:  # the minimum is at (0.5, 0.5) of [-1, 1]^2
        assert float(ring.attrib["cx"]) == pytest.approx(
            0.75 * float(image.attrib["width"]), abs=0.1
        )
        assert float(ring.attrib["cy"]) / float(image.attrib["height"]) == pytest.approx(
            0.3, abs=0.01
        )


@pytest.mark.parametrize("sides", [LINE, PLANE], ids=["1d", "2d"])
@pytest.mark.parametrize("narrow", [False, True], ids=["wide", "narrow"])
@pytest.mark.parametrize("times", [(0.1,), (0.1, 0.2, 0.3)], ids=len)
def test_groups_do_not_lie_on_each_other_and_fit(sides, narrow, times):
    svg = figure(sides, times, narrow=narrow)
    width, height = (float(svg.attrib[key]) for key in ("width", "height"))
    [whole] = svg.findall("g")
    places = [tuple(map(float, g.attrib["transform"][10:-1].split())) for g in whole.findall("g")]
    assert len(places) == len(set(places))
    assert all(0 <= x < width and 0 <= y < height for x, y in places)
    assert width <= (400 if narrow else 800)
    assert not np.isnan(places).any()
