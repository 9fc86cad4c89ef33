import re

import pytest

from wellposed.report._drawn import Drawn, draw
from wellposed.report._pictures import Album
from wellposed.runs._figure import figure_to_dict


@pytest.fixture
def show(audit_folder):
    return lambda value: draw(value, audit_folder, Album())


def test_every_kind_is_drawn(audit_folder, show):
    values = audit_folder.read_json("findings.json")["findings"][1]["figures"]
    found = [show(value) for value in values]
    assert all(isinstance(drawn, Drawn) for drawn in found)
    assert [bool(d.svg) for d in found] == [True] * 5 + [False] * 2
    assert [name for _, name in found[0].legend] == ["train", "test", "measured"]
    assert found[1].note == "both scales logarithmic"
    assert found[3].note == "logarithmic across"
    assert found[4].note.startswith("logarithmic color; 1 of 441 values")
    assert [len(row) for row in found[5].rows] == [6, 6]
    assert found[5].rows[0][0][0].startswith("data:image/png;base64,")
    assert found[6].table[0] == ("layer", "kind", "gain")
    assert found[6].right == 2


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (None, "its kind is None"),
        ([], "its kind is None"),
        ({"kind": ["curves"]}, "its kind is \\['curves'\\]"),
        ({"kind": "pie"}, "its kind is 'pie'"),
        ({"kind": "curves"}, "heading"),
        ({"kind": "curves", "heading": "h", "x_label": "", "y_label": "", "series": []}, "no curv"),
        (
            {"kind": "curves", "heading": "h", "x_label": "", "y_label": "",
             "series": [{"name": "", "x": [1], "y": [1, 2]}]},
            "as many ordinates",
        ),
        (
            {"kind": "curves", "heading": "h", "x_label": "", "y_label": "",
             "series": [{"name": "", "x": list(range(20_001)), "y": list(range(20_001))}]},
            "more than 20",
        ),
        ({"kind": "bars", "heading": "h", "labels": ["a"], "values": [1, 2]}, "as many values"),
        ({"kind": "bars", "heading": "h", "labels": [], "values": []}, "no names"),
        ({"kind": "surface", "heading": "h", "x": [1, 2], "y": [1, 2], "values": [[1, 2]]}, "fit"),
        ({"kind": "surface", "heading": "h", "x": [1], "y": [1], "values": [[1]]}, "its grid is"),
        (
            {"kind": "surface", "heading": "h", "x": [1, 1], "y": [1, 2],
             "values": [[1, 2], [3, 4]]},
            "rise or fall",
        ),
        (
            {"kind": "surface", "heading": "h", "x": ["nan", 1], "y": [1, 2],
             "values": [[1, 2], [3, 4]]},
            "rise or fall",
        ),
        ({"kind": "pictures", "heading": "h", "rows": []}, "no pictures"),
        ({"kind": "pictures", "heading": "h", "rows": [[{"png": "x"}]]}, "picture"),
        ({"kind": "listing", "heading": "h", "header": [], "rows": []}, "no columns"),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_is_a_sentence(show, value, why):
    found = show(value)
    assert isinstance(found, str)
    assert re.search(why, found)
    assert found.endswith(".")


def test_pictures_are_looked_at_before_they_are_shown(audit_folder):
    audit_folder.write("pictures/no.png", b"\x89PNG but not quite")
    album = Album()
    cells = [{"picture": name} for name in ("pictures/no.png", "../../etc/passwd", "missing.png")]
    found = draw({"kind": "pictures", "heading": "", "rows": [cells]}, audit_folder, album)
    assert found.rows == (((None, ""),) * 3,)
    assert len(album.refused) == 3


def test_tables_are_cut_to_size(show):
    value = {
        "kind": "listing", "heading": "h" * 900, "header": ["a"] * 20, "rows": [["x" * 900]] * 100,
    }  # fmt: skip
    found = show(value)
    header, rows = found.table
    assert len(header) == 12
    assert len(rows) == 60
    assert {len(row) for row in rows} == {12}
    assert len(rows[0][0]) == 200
    assert found.note == "40 more rows are in findings.json"
    assert len(found.heading) == 120


def test_figures_survive_the_way_through_the_file(every_figure, show):
    value, _ = figure_to_dict(every_figure[0], "audit/a-0")
    assert show(value).heading == "Loss along the way"
