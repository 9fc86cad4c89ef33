import math
import re
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellposed.report._figures import (
    Estimate,
    Frame,
    Line,
    apart,
    interval_chart,
    line_chart,
    swatch,
)
from wellposed.report._palette import TONES

HOSTILE = "</svg><script>alert(1)</script>\"'&"


def parse(svg):
    return ET.fromstring(str(svg))


def paths(svg):
    return [e.attrib["d"] for e in parse(svg).iter("path")]


def points(path):
    return [tuple(map(float, p)) for p in re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", path)]


def test_a_straight_line_is_drawn_straight_within_its_frame():
    line = Line("", [0, 50, 100], [1.0, 2.0, 3.0])
    [path] = paths(line_chart(Frame("t", "d"), [line]))
    (x0, y0), (x1, y1), (x2, y2) = points(path)
    assert x1 == pytest.approx((x0 + x2) / 2, abs=0.1)
    assert y1 == pytest.approx((y0 + y2) / 2, abs=0.1)
    assert 0 < x0 < x2 < 360
    assert 220 > y0 > y2 > 0


def test_equal_ratios_are_equal_on_a_log_scale():
    line = Line("", [0, 1, 2], [0.01, 0.1, 1.0])
    [path] = paths(line_chart(Frame("t", "d", log=True), [line]))
    (_, y0), (_, y1), (_, y2) = points(path)
    assert y0 - y1 == pytest.approx(y1 - y2, abs=0.2)


def test_errors_that_are_hardly_above_zero_do_not_stretch_a_log_scale():
    line = Line("", [0, 1, 2], [1.0, 1e-9, 0.0])
    [path] = paths(line_chart(Frame("t", "d", log=True, percent=True), [line]))
    (_, y0), (_, y1), (_, y2) = points(path)
    assert y0 < y1 == y2


def test_log_scale_of_nothing_positive_is_linear():
    [path] = paths(line_chart(Frame("t", "d", log=True), [Line("", [0, 1], [0.0, -1.0])]))
    assert len(points(path)) == 2


def test_what_is_not_finite_interrupts_the_line():
    line = Line("", [0, 1, 2, 3, math.inf], [1.0, math.nan, 2.0, 3.0, 4.0])
    [path] = paths(line_chart(Frame("t", "d"), [line]))
    assert path.count("M") == 2
    assert path.count("L") == 1


def test_line_of_nothing_finite_is_not_drawn():
    assert paths(line_chart(Frame("t", "d"), [Line("a", [0, 1], [math.nan, math.inf])])) == []


def test_figure_says_what_it_is():
    svg = parse(line_chart(Frame("Error", "from 3 to 1"), [Line("a", [0, 1], [3, 1])]))
    assert svg.attrib["role"] == "img"
    assert svg.find("title").text == "Error"
    assert svg.find("desc").text == "from 3 to 1"


def test_series_differ_in_more_than_color():
    lines = [Line(f"m{k}", [0, 1], [k, k + 1], series=k) for k in range(4)]
    svg = parse(line_chart(Frame("t", "d"), lines))
    dashes = [e.attrib["stroke-dasharray"] for e in svg.iter("path")]
    assert dashes == [TONES[k].dash for k in range(4)]
    names = [e.text for e in svg.iter("text") if "label" in e.attrib["class"]]
    assert sorted(names) == ["m0", "m1", "m2", "m3"]


def test_faint_lines_lie_behind_and_have_no_name():
    lines = [Line("mean", [0, 1], [1, 2]), Line("seed", [0, 1], [1, 3], faint=True)]
    svg = parse(line_chart(Frame("t", "d"), lines))
    assert ["faint" in e.attrib["class"] for e in svg.iter("path")] == [True, False]
    assert "seed" not in [e.text for e in svg.iter("text")]


def test_hostile_names_stay_text():
    svg = line_chart(Frame(HOSTILE, HOSTILE, x_name=HOSTILE), [Line(HOSTILE, [0, 1], [0, 1])])
    svg += interval_chart(HOSTILE, [Estimate(HOSTILE, [0.1], 0.1, None)])
    assert "<script" not in svg
    parse(f"<both>{svg}</both>")


@given(heights=st.lists(st.floats(0, 100), max_size=6).map(sorted))
def test_labels_do_not_overlap_and_fit_if_they_can(heights):
    placed = apart(heights, 10, 0, 100)
    assert all(b - a >= 10 - 1e-9 for a, b in pairwise(placed))
    assert all(-1e-9 <= p <= 100 for p in placed)


def test_labels_that_are_apart_stay_where_they_are():
    assert apart([5, 50, 90], 10, 0, 100) == [5, 50, 90]


@given(
    mean=st.floats(0, 1),
    values=st.lists(st.floats(0, 1), max_size=5),
    half=st.none() | st.floats(0, 1),
    width=st.sampled_from([360, 740]),
)
def test_interval_chart_stays_within_its_frame(mean, values, half, width):
    interval = None if half is None else (mean - half, mean + half)
    svg = parse(interval_chart("t", [Estimate("m", values, mean, interval)], width=width))
    rings = [float(e.attrib["cx"]) for e in svg.iter("circle")]
    assert len(rings) == len(values) + 1
    assert all(0 <= x <= width for x in rings)
    for path in svg.iter("path"):
        low, high = map(float, re.match(r"M([\d.]+) [\d.]+H([\d.]+)", path.attrib["d"]).groups())
        assert 0 <= low <= high <= width


def test_interval_chart_says_its_numbers():
    svg = parse(interval_chart("Error", [Estimate("sgd", [0.03], 0.036, (0.021, 0.061))]))
    assert svg.find("desc").text.replace("\u00a0", " ") == "sgd 3.6 % (2.1 to 6.1 %)"


def test_swatch_is_decoration():
    svg = parse(swatch(1))
    assert svg.attrib["aria-hidden"] == "true"
    assert svg.find("path").attrib["stroke-dasharray"] == TONES[1].dash


def test_equal_ratios_of_a_logarithmic_abscissa_take_equal_room():
    line = Line("", [0.01, 0.1, 1.0], [1.0, 2.0, 3.0])
    [path] = paths(line_chart(Frame("t", "d", x_log=True), [line]))
    (x0, _), (x1, _), (x2, _) = points(path)
    assert x1 == pytest.approx((x0 + x2) / 2, abs=0.1)


def test_a_logarithmic_abscissa_of_nothing_is_drawn_empty():
    assert paths(line_chart(Frame("t", "d", x_log=True), [])) == []
