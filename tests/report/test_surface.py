import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from wellposed.report._surface import not_finite, surface_plot
from wellposed.runs import Surface

INF, NAN = float("inf"), float("nan")


def surface(values, x=None, y=None, **more):
    values = tuple(tuple(map(float, row)) for row in values)
    x = tuple(map(float, range(len(values[0])))) if x is None else x
    y = tuple(map(float, range(len(values)))) if y is None else y
    return Surface("h", x, y, values, **more)


def drawn(figure):
    return ET.fromstring(str(surface_plot(figure)))


def contour(root):
    numbers = re.findall(r"[\d.]+", root.find(".//*[@class='contour']").get("d"))
    return np.array(numbers, dtype=float).reshape(-1, 2)


def test_contours_of_a_bowl_are_circles():
    grid = np.linspace(-1, 1, 41)
    root = drawn(surface(grid[:, None] ** 2 + grid**2, tuple(grid), tuple(grid)))
    at = contour(root)
    x, y = (at[:, 0] - 196) / 150, (155 - at[:, 1]) / 125  # the middle and half the sides
    levels = 2 * np.arange(1, 8) / 8
    off = np.abs((x**2 + y**2)[:, None] - levels).min(1)
    assert len(at) > 300
    assert off.max() < 0.02


def test_rows_and_columns_may_come_in_any_order():
    grid = np.linspace(0, 1, 9)
    values = grid[:, None] + 3 * grid**2
    up = drawn(surface(values, tuple(grid), tuple(grid)))
    turned = drawn(surface(values[::-1, ::-1], tuple(grid[::-1]), tuple(grid[::-1])))
    assert ET.tostring(up) == ET.tostring(turned)


def test_a_grid_that_is_not_even_is_drawn_evenly():
    x = (0.0, 1.0, 10.0)
    root = drawn(surface([x, x], x))  # the value is the abscissa
    at = contour(root)
    levels = np.unique(at[:, 0])
    np.testing.assert_allclose(levels, 46 + 300 * np.arange(1, 8) / 8, atol=0.1)


def test_values_that_are_not_finite_are_crossed():
    values = np.ones((3, 3))
    values[0, 0], values[2, 1], values[1, 1] = NAN, INF, 2.0
    figure = surface(values)
    assert not_finite(figure).startswith("2 of 9 values")
    assert drawn(figure).find(".//*[@class='cross']").get("d").count("M") == 2
    assert not_finite(surface(np.ones((2, 2)))) == ""


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("value", [NAN, INF, 0.0, -1.0, 1e308, 5e-324])
def test_flat_and_empty_maps_are_drawn(value, log):
    text = str(surface_plot(surface([[value] * 2] * 2, log=log)))
    assert "<image" in text
    assert "nan" not in re.sub(r'href="[^"]*"', "", text)


def test_places_are_named(every_figure):
    root = drawn(every_figure[4])
    words = [element.text for element in root.iter("text")]
    assert {"w", "w of the other run", "first direction", "second direction"} <= set(words)
    assert root.find("desc").text.startswith("from 0.0100 to 5.01, lowest at 0, 0; w at 0, 0")
    assert len(list(root.iter("circle"))) == 4


def test_a_fine_grid_is_thinned():
    grid = np.linspace(0, 1, 500)
    text = str(surface_plot(surface(np.add.outer(grid, grid), tuple(grid), tuple(grid))))
    assert len(text) < 60_000
