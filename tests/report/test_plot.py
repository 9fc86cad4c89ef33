import re
from xml.etree import ElementTree as ET

import pytest

from wellposed.report._plot import HEIGHT, WIDTH, curves_plot, said
from wellposed.runs import Curves, Mark, Series

INF, NAN = float("inf"), float("nan")


def curves(*series, marks=(), **kinds):
    return Curves("h", "x", "y", series, marks, **kinds)


def classes(figure):
    return [e.get("class") for e in ET.fromstring(str(curves_plot(figure))).iter()]


def test_all_features_are_drawn(every_figure):
    root = ET.fromstring(str(curves_plot(every_figure[0])))
    looks = [element.get("class") for element in root.iter()]
    assert looks.count("band tone-0") == 1  # interrupted by two values that are not finite
    assert len(re.findall("Z", root.find(".//*[@class='band tone-0']").get("d"))) == 1
    assert looks.count("mark") == 3
    assert looks.count("whisker tone-2") == 10
    assert "line tone-3 faint" in looks
    assert root.find("title").text == "Loss along the way"
    words = [element.text for element in root.iter("text")]
    assert {"t", "loss", "chance", "2/lr", "lambda_max"} <= set(words)


def test_a_band_follows_its_ends():
    figure = curves(Series("a", (0.0, 1.0), (1.0, 1.0), (0.0, 0.0), (2.0, 2.0)))
    path = ET.fromstring(str(curves_plot(figure))).find(".//*[@class='band tone-0']").get("d")
    numbers = [float(n) for n in re.findall(r"[\d.]+", path)]
    xs, ys = numbers[::2], numbers[1::2]
    assert xs == [46.0, 348.0, 348.0, 46.0]
    assert ys == [30.0, 30.0, 210.0, 210.0]


def test_a_mark_is_where_it_says():
    figure = curves(Series("", (0.0, 4.0), (0.0, 2.0)), marks=(Mark("y", 1.0, "m"),))
    path = ET.fromstring(str(curves_plot(figure))).find(".//*[@class='mark']").get("d")
    assert path == "M46.0 120.0H348.0"


@pytest.mark.parametrize(
    "series",
    [
        Series("a", (0.0, 1.0, 2.0), (1e308, -1e308, INF)),
        Series("a", (0.0, 1.0), (NAN, NAN)),
        Series("a", (0.0, NAN, INF), (1.0, 2.0, 3.0), (0.0, -INF, 1.0), (2.0, 3.0, INF)),
        Series("a", (5.0,), (5.0,)),
        Series("a", (), ()),
        Series("a", (5e-324, 1e308), (5e-324, 1e308), points=True),
        Series("a", (0.0, 1.0), (1e6 + 0.1, 1e6 + 0.2)),
        Series("a", (0.0, 1.0), (1.0, 1.0 + 1e-15)),
    ],
)
@pytest.mark.parametrize("log", [False, True])
def test_whatever_the_numbers_all_is_inside(series, log):
    marks = (Mark("x", INF, "never"), Mark("y", 1e300, "far"))
    figure = curves(series, marks=marks, log_x=log, log_y=log)
    for element in ET.fromstring(str(curves_plot(figure))).iter("path"):
        assert re.fullmatch(r"[MLHVZ\d. -]*", element.get("d"))
        numbers = [abs(float(n)) for n in re.findall(r"-?[\d.]+", element.get("d"))]
        assert max(numbers, default=0) <= max(WIDTH, HEIGHT)


def test_many_points_are_thinned_and_peaks_stay():
    y = [0.0] * 20_000
    y[12_345] = 7.0
    text = str(curves_plot(curves(Series("a", tuple(map(float, range(20_000))), tuple(y)))))
    assert len(text) < 15_000
    assert said(curves(Series("a", (0.0, 1.0), (3.0, 1.0)), marks=(Mark("x", 2.0, "m"),))) == (
        "a from 3.00 to 1.00, between 1.00 and 3.00; m at 2.00"
    )
