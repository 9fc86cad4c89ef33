import io
import json

import pytest
from rich.console import Console

from wellposed.cli._output import Output

ROWS = [("a", "1.5"), ("[bold]b[/]", "10.25"), ("\x1b[31mc\x07", "2")]


def test_people_get_text_and_machines_get_json(capsys):
    for as_json in (False, True):
        out = Output(as_json=as_json)
        out.line("words [with] brackets")
        out.table(("name", "n"), ROWS, right=1)
        out.record({"n": 1, "loss": float("nan"), "more": [float("inf"), {"x": (1, "a")}]})
        found = capsys.readouterr().out
        if as_json:
            assert json.loads(found) == {"n": 1, "loss": "nan", "more": ["inf", {"x": [1, "a"]}]}
        else:
            assert found.splitlines()[0] == "words [with] brackets"


def test_a_table_in_a_pipe_is_plain_aligned_and_never_cut(capsys):
    wide = "x" * 300
    Output().table(("name", "n"), [*ROWS, (wide, "3")], right=1)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines] == [
        ["name", "n"],
        ["a", "1.5"],
        ["[bold]b[/]", "10.25"],
        ["?[31mc?", "2"],
        [wide, "3"],
    ]
    assert len({len(line) for line in lines}) == 1  # numbers end in one column


def test_a_table_on_a_terminal_shows_what_it_was_given():
    out = Output()
    file = io.StringIO()
    out.console = Console(file=file, force_terminal=True, width=60, color_system=None)
    out.table(("name", "n"), ROWS, right=1)
    found = file.getvalue()
    assert "[bold]b[/]" in found
    assert "\x07" not in found


def test_paragraphs_are_broken_on_a_terminal_and_lines_are_not(capsys):
    out = Output()
    text = "word " * 30 + "end"
    out.paragraph(text)
    assert capsys.readouterr().out == text + "\n"
    file = io.StringIO()
    out.console = Console(file=file, force_terminal=True, width=40, color_system=None)
    out.line(text)
    assert file.getvalue() == text + "\n"
    out.paragraph(text)
    assert len(file.getvalue().splitlines()) > 3
    machine = Output(as_json=True)
    machine.paragraph(text)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("value", [{"x": float("-inf")}, {"x": {1: 2}}])
def test_json_is_strict(capsys, value):
    Output(as_json=True).record(value)
    json.loads(capsys.readouterr().out, parse_constant=pytest.fail)


def test_numbers_that_do_not_fit_on_a_narrow_terminal_are_told_not_cut():
    out = Output()
    out.console = Console(file=io.StringIO(), force_terminal=True, width=30, highlight=False)
    out.table(("part", "examples", "error"), [("test", "360", "18.61 % [14.93, 22.96]")], right=1)
    words = out.console.file.getvalue().split()
    assert " ".join(words) == "test: examples 360, error 18.61 % [14.93, 22.96]"
