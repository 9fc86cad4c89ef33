import subprocess
import sys
from xml.etree import ElementTree as ET

import pytest


def test_a_figure_is_drawn_and_its_minima_are_told(cli, tmp_path):
    found = cli("relax", "double-well", "--points", "61", "--time", "0.4", "--time", "0.1")
    assert (found.code, found.err) == (0, "")
    lines = found.out.splitlines()
    assert lines[0].startswith("Heat: until t = 0.4 the minimum goes from x = \u2212")
    assert lines[-2].startswith("Lower envelope: smooth for t < 1/|lambda_min| = 0.1")
    assert lines[-1] == "double-well.svg"
    svg = ET.parse(tmp_path / "double-well.svg").getroot()
    assert svg.tag == "{http://www.w3.org/2000/svg}svg"
    assert "t = 0.1, 0.4" in svg.find("{*}title").text


def test_a_page_says_how_to_repeat_it(cli, tmp_path):
    found = cli(
        "relax", "two-valleys", "--time", "0.3", "--beta", "5", "--points", "31",
        "--out", "my page.html", "--json",
    )  # fmt: skip
    [record] = found.records
    assert record["event"] == "figure"
    assert (record["path"], record["times"], record["beta"]) == ("my page.html", [0.3], 5.0)
    assert len(record["sentences"]) == 4
    text = (tmp_path / "my page.html").read_text()
    command = "wellposed relax two-valleys --time 0.3 --beta 5 --points 31 --out &#39;my page.html"
    assert command in text


def test_an_older_figure_is_replaced_and_an_error_leaves_it(cli, tmp_path):
    old = tmp_path / "well.svg"
    old.write_text("old")
    assert cli("relax", "--points", "61", "--time", "9", "--out", "well.svg").code == 2
    assert old.read_text() == "old"
    assert cli("relax", "--points", "61", "--time", "0.1", "--out", "well.svg").code == 0
    assert old.read_text().startswith("<svg")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["dubble-well"], "did you mean 'double-well'?"),
        (["rugged", "--out", "figure.png"], "an .svg or an .html file, got --out figure.png"),
        (["rugged", "--out", "/dev/null"], "an .svg or an .html file"),
        (["rugged", "--time", "-1"], "one to 3 positive times, ascending, got -1"),
        (["rugged", "--time", "nan"], "got nan"),
        (["rugged", "--time", "0.0001"], "take 3 times as many points, or a larger t"),
        (["double-well", "--time", "0.6"], "double-well cannot be relaxed for so long"),
        (["rugged", "--beta", "0"], "inverse temperature is positive, got beta=0"),
        (["rugged", "--points", "-3"], "at least 9 points along each axis, got points=-3"),
        (["rugged", "--points", "61", "--time", "0.4", "--out", "no/f.svg"], "no does not exist"),
    ],
)
def test_what_cannot_be_drawn_is_said_in_one_sentence(cli, arguments, said):
    found = cli("relax", *arguments)
    assert found.code == 2
    assert said in found.err
    assert found.out == ""
    assert len(found.err.splitlines()) == 1


def test_no_torch_is_needed(tmp_path):
    path = tmp_path / "well.svg"
    code = (
        "import sys; from wellposed.cli._main import run; "
        f"code = run(['relax', '--points', '61', '--time', '0.1', '--out', {str(path)!r}]); "
        "sys.exit(code or 3 * ('torch' in sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], check=False)
    assert found.returncode == 0
    assert path.exists()
