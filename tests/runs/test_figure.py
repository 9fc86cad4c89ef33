import json
import math

import pytest

from wellposed.errors import RunFolderError
from wellposed.runs import Bars, Curves, Listing, Mark, Picture, Pictures, Series, Surface
from wellposed.runs._figure import figure_from_dict, figure_to_dict
from wellposed.runs._json import dumps

INF, NAN = math.inf, math.nan

FIGURES = [
    Curves(
        "Loss",
        "step",
        "loss",
        (
            Series("a", (0.0, 1.0), (1.5, INF), (1.0, -INF), (2.0, INF), faint=True),
            Series("b", (0.0,), (0.1,), points=True),
        ),
        (Mark("y", INF, "2/lr"), Mark("x", 0.5, "here")),
        log_x=True,
        log_y=True,
        percent=True,
        note="A note.",
    ),
    Bars("Error", ("a", "b"), (0.1, INF), (0.0, 0.1), None, "share", marks=(Mark("y", 0.1, "m"),)),
    Surface("Map", (0.0, 1.0), (0.0,), ((1.0, INF),), "u", "v", points=((0.0, -INF, "w"),)),
    Pictures("Shown", ((Picture(b"\x89PNG1", "one"), Picture(b"\x89PNG2")), (Picture(b"3"),)), "n"),
    Listing("Worst", ("name", "n"), (("a", "1"), ("b", "2")), right=0, note="Two."),
]


def through_json(figure):
    """The figure after it was written as strict JSON and read again."""
    value, files = figure_to_dict(figure, "audit/check-0")
    return figure_from_dict(json.loads(dumps(value)), files)


@pytest.mark.parametrize("figure", FIGURES, ids=lambda f: type(f).__name__)
def test_comes_back_the_same(figure):
    assert through_json(figure) == figure


def test_nan_leaves_a_gap_that_survives():
    back = through_json(Curves("h", "x", "y", (Series("", (0.0, 1.0), (NAN, 1.0)),)))
    assert math.isnan(back.series[0].y[0])
    assert back.series[0].y[1] == 1.0
    bars = through_json(Bars("h", ("a",), (NAN,), marks=(Mark("y", NAN, ""),)))
    assert math.isnan(bars.values[0])
    assert math.isnan(bars.marks[0].value)


def test_pictures_lie_in_files_of_their_own():
    value, files = figure_to_dict(FIGURES[3], "audit/blur-1")
    assert files == {
        "audit/blur-1-000.png": b"\x89PNG1",
        "audit/blur-1-001.png": b"\x89PNG2",
        "audit/blur-1-002.png": b"3",
    }
    assert value["rows"][0][1] == {"picture": "audit/blur-1-001.png", "caption": ""}
    assert "PNG" not in dumps(value)


def test_what_a_later_version_adds_is_left_out():
    value, files = figure_to_dict(FIGURES[4], "x")
    assert figure_from_dict(value | {"sparkle": True}, files) == FIGURES[4]


@pytest.mark.parametrize(
    "damage",
    [
        {"kind": "hologram"},
        {"series": [{"name": "a"}]},
        {"series": [{"name": "a", "x": ["one"], "y": [1]}]},
        {"series": ["a"]},
        {"marks": [{"axis": "x"}]},
        {"marks": [3]},
    ],
    ids=range(6),
)
@pytest.mark.wrong_types
def test_damage_is_said(damage):
    value, files = figure_to_dict(FIGURES[0], "x")
    with pytest.raises(RunFolderError, match=r"a figure of the findings is damaged.*audit again"):
        figure_from_dict(value | damage, files)


@pytest.mark.parametrize("index", range(len(FIGURES)))
def test_a_missing_field_or_picture_is_said(index):
    value, files = figure_to_dict(FIGURES[index], "x")
    with pytest.raises(RunFolderError, match="damaged"):
        figure_from_dict({k: v for k, v in value.items() if k != "heading"}, files)
    if files:
        with pytest.raises(RunFolderError, match=r"damaged: 'x-000.png'"):
            figure_from_dict(value, {})
