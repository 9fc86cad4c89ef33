import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from wellposed.report._panels import HEIGHT, WIDTH, Trace, legend, panel

HOSTILE = "</g><script>alert(1)</script>\"'&"
X = np.linspace(-2, 2, 81).tolist()


def parse(drawn):
    return ET.fromstring(f"<svg>{drawn}</svg>")


def points(path):
    return [tuple(map(float, p)) for p in re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", path)]


def paths(drawn):
    return [points(e.attrib["d"]) for e in parse(drawn).iter("path")]


def test_a_straight_line_needs_two_points():
    [path] = paths(panel("h", "n", [Trace(X, [x / 2 for x in X], 0)], (-1, 1)))
    assert len(path) == 2
    (x0, y0), (x1, y1) = path
    assert 0 < x0 < x1 < WIDTH
    assert HEIGHT > y0 > y1 > 0


@given(y=arrays(np.float64, 81, elements=st.floats(-1, 1)))
def test_points_that_are_left_out_lie_on_the_path(y):
    [thin] = paths(panel("h", "n", [Trace(X, y.tolist(), 0)], (-1, 1)))
    xs, ys = zip(*thin, strict=True)
    left, right = 34, WIDTH - 8
    across = [left + (x + 2) / 4 * (right - left) for x in X]
    down = (HEIGHT - 24) - (y + 1) / 2 * (HEIGHT - 24 - 40)
    np.testing.assert_allclose(np.interp(across, xs, ys), down, atol=0.12 + 2.5)
    # where slopes are small, rounding of the places counts little
    [thin] = paths(panel("h", "n", [Trace(X, (y / 50).tolist(), 0)], (-1, 1)))
    xs, ys = zip(*thin, strict=True)
    down = (HEIGHT - 24) - (y / 50 + 1) / 2 * (HEIGHT - 24 - 40)
    np.testing.assert_allclose(np.interp(across, xs, ys), down, atol=0.3)


def test_what_leaves_the_panel_is_cut_at_its_edge():
    drawn = panel("h", "n", [Trace(X, [x**2 for x in X], 0)], (-0.5, 1.0))
    [path] = paths(drawn)
    assert min(y for _, y in path) == pytest.approx(40)
    span = path[-1][0] - path[0][0]
    assert span == pytest.approx((WIDTH - 34 - 8) / 2, abs=0.3)  # from -1 to 1 of [-2, 2]
    [up_and_down] = [
        e.attrib["d"]
        for e in parse(panel("h", "n", [Trace(X, [x**3 for x in X], 0)], (-1, 1))).iter("path")
    ]
    assert up_and_down.count("M") == 1
    outside = panel("h", "n", [Trace(X, [5 + x for x in X], 0)], (-1, 1))
    assert paths(outside) == [[]]
    valley = panel("h", "n", [Trace(X, [1 - x**2 for x in X], 0)], (-0.5, 0.5))
    [path] = [e.attrib["d"] for e in parse(valley).iter("path")]
    assert path.count("M") == 2


def test_minima_are_marked_and_the_ground_is_not():
    y = [(x - 0.5) ** 2 for x in X]
    svg = parse(panel("h", "n", [Trace(X, y, None), Trace(X, y, 0)], (0, 1)))
    [circle] = svg.iter("circle")
    assert float(circle.attrib["cx"]) == pytest.approx(34 + 2.5 / 4 * (WIDTH - 42), abs=0.1)
    assert [e.attrib["class"] for e in svg.iter("path")] == ["ground", "line tone-0"]
    assert not list(parse(panel("h", "n", [Trace(X, y, 0)], (1, 2))).iter("circle"))


def test_hostile_words_stay_text():
    drawn = panel(HOSTILE, HOSTILE, [], (0, 1)) + legend([(HOSTILE, 0)], 372)
    assert "<script" not in drawn
    assert HOSTILE in [e.text for e in parse(drawn).iter("text")]


def test_a_legend_goes_on_in_the_next_row():
    names = [("loss", None), *((f"t = 0.{k}", k) for k in range(4))]
    wide, narrow = (
        {float(e.attrib["y"]) for e in parse(legend(names, width)).iter("text")}
        for width in (760, 372)
    )
    assert wide == {14.0}
    assert narrow == {14.0, 34.0}
