import re
from xml.etree import ElementTree as ET

import pytest

from wellposed.report._bars import WIDTH, bars_plot
from wellposed.runs import Bars, Mark

INF, NAN = float("inf"), float("nan")


def test_rows_have_name_number_bar_and_interval(every_figure):
    root = ET.fromstring(str(bars_plot(every_figure[2])))
    words = [element.text for element in root.iter("text")]
    assert "features.0.weight" in words
    assert "10.0\u00a0% (5.0 to 20.0\u00a0%)" in words
    assert "clean" in words
    looks = [element.get("class") for element in root.iter()]
    assert looks.count("bar tone-0") == 2  # none for nan
    assert looks.count("whisker tone-0") == 3
    assert "clean at 0.25" in root.find("desc").text


def test_bars_begin_at_zero():
    root = ET.fromstring(str(bars_plot(Bars("h", ("a", "b"), (-2.0, 2.0)))))
    left, right = (
        [float(n) for n in re.findall(r"[\d.]+", e.get("d"))]
        for e in root.iter("path")
        if e.get("class") == "bar tone-0"
    )
    assert left[0] == right[0] == pytest.approx((6 + WIDTH - 14) / 2)
    assert left[2] == 6
    assert right[2] == WIDTH - 14


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize(
    "values", [(1e308, -1e308), (NAN, INF), (0.0, 0.0), (5e-324, 1.0), (-3.0, -2.0)]
)
def test_whatever_the_numbers_all_is_inside(values, log):
    figure = Bars("h", ("a", "b"), values, (-INF, NAN), (INF, 1.0), log=log,
                  marks=(Mark("y", NAN, "m"), Mark("y", 1e250, "far")))  # fmt: skip
    for element in ET.fromstring(str(bars_plot(figure))).iter("path"):
        numbers = [abs(float(n)) for n in re.findall(r"-?[\d.]+", element.get("d"))]
        assert max(numbers) <= WIDTH


def test_too_many_rows_are_counted():
    names = tuple(f"layer {k}" for k in range(75))
    root = ET.fromstring(str(bars_plot(Bars("h", names, (1.0,) * 75))))
    assert root.find("desc").text.endswith("and 15 more")
    assert sum(e.get("class") == "bar tone-0" for e in root.iter("path")) == 60
