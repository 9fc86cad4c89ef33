import io
import sys
from types import SimpleNamespace

import pytest

from wellposed.cli import _progress
from wellposed.cli._output import Output
from wellposed.cli._progress import RaceProgress
from wellposed.compare import Entry, Outcome

ENTRIES = [Entry(m, s) for s in (0, 1) for m in ("sgd", "adam")]
COST = {"seconds": 2.0}


class Terminal(io.StringIO):
    def isatty(self):
        return True


def race(out, monkeypatch, *, finished=0, diverged=False):
    """Tell a progress of a race of four runs of 40 steps, one second per step."""
    clock = [100.0]
    monkeypatch.setattr(_progress.time, "monotonic", lambda: clock[0])
    with RaceProgress(out) as progress:
        progress.begin_race(ENTRIES)
        for number, entry in enumerate(ENTRIES):
            if number >= finished:
                progress.begin_run(entry)
                progress.begin(SimpleNamespace(total_steps=40, step=0))
                for _ in range(40):
                    clock[0] += 1
                    progress.step(None)
                progress.record({})
                progress.end({})
            fault = "the loss became nan" if diverged else ""
            cost = {} if diverged else COST
            progress.end_run(entry, Outcome(entry, 0.25, "test", 9, cost, fault))


def test_elsewhere_each_run_is_a_line_with_the_time_left(monkeypatch, capsys):
    race(Output(), monkeypatch)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert lines[0].strip() == "1/4  sgd, seed 0: test error 25.00 %, 2.0 s; 2 min left"
    assert lines[2].endswith("about 40 s left")
    assert "left" not in lines[3]


def test_runs_that_were_finished_before_cost_no_time(monkeypatch, capsys):
    race(Output(), monkeypatch, finished=3)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("2.0 s")
    assert len(lines) == 4


def test_a_diverged_run_is_said(monkeypatch, capsys):
    race(Output(), monkeypatch, diverged=True)
    assert "sgd, seed 0: the loss became nan;" in capsys.readouterr().out


def test_machines_get_a_record_per_run(monkeypatch, capsys):
    race(Output(as_json=True), monkeypatch)
    out = capsys.readouterr().out.splitlines()
    assert len(out) == 4
    assert '"method": "sgd"' in out[0]


@pytest.mark.parametrize("size", ["100", "30"])
def test_a_terminal_shows_a_bar_and_the_runs_above_it(monkeypatch, capsys, size):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", size)
    monkeypatch.setenv("TERM", "xterm")
    race(Output(), monkeypatch)
    shown = terminal.getvalue()
    assert "sgd, seed 0: test error" in shown.replace("\n", " ") or size == "30"
    assert "adam" in shown
    assert capsys.readouterr().out == ""
