import io
import json
import math

import pytest
import torch
from rich.console import Console

from wellposed.train import Plan, ProgressBar, ProgressJson, ProgressLines, Step, fit, progress
from wellposed.train import _progress as module
from wellposed.train._observer import Start

START = Start("digits, LeNet", 0, 8, 4, {"device": "cpu", "precision": "bf16"}, "")


def console(**more):
    return Console(file=io.StringIO(), width=120, **more)


def step(index, objective=0.5):
    outputs, targets = (torch.zeros(100, 2),), (torch.zeros(100, dtype=torch.long),)
    return Step(index, torch.tensor(objective), torch.tensor(0.0), outputs, targets, 1)


def train(index, error=0.25):
    return {"event": "train", "step": index, "objective": 1.5, "error": error}


def validation(index):
    return {"event": "evaluation", "split": "validation", "step": index, "error": 0.125}


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])

    def wait(seconds):
        now[0] += seconds

    return wait


def test_the_kind_suits_the_place(capsys):
    assert isinstance(progress(console=console(force_terminal=True)), ProgressBar)
    assert isinstance(progress(console=console()), ProgressLines)
    assert isinstance(progress(), ProgressLines)  # under the test the output is no terminal
    assert isinstance(progress(json=True), ProgressJson)


def test_the_bar_shows_objective_error_pace_and_time_left(clock):
    place = console(force_terminal=True)
    bar = ProgressBar(place)
    bar.begin(START)
    clock(1.0)
    bar.step(step(1))
    bar.record(train(1))
    clock(1.0)
    bar.step(step(2, 0.375))
    bar.record(validation(2))
    clock(1.0)
    bar.step(step(3))
    bar.end({})
    text = place.file.getvalue()
    assert "epoch 1/2" in text
    assert "objective 0.375" in text
    assert "error 25.00 %" in text
    assert "validation error 12.50 %" in text
    assert "100 examples/s" in text
    assert "epoch 0:02, all 0:06 left" in text


def test_the_bar_looks_at_the_objective_four_times_a_second_only(clock, monkeypatch):
    looks = []
    item = torch.Tensor.item
    monkeypatch.setattr(torch.Tensor, "item", lambda tensor: (looks.append(1), item(tensor))[1])
    bar = ProgressBar(console(force_terminal=True))
    bar.begin(START)
    for index in range(1, 1001):
        clock(0.001)
        bar.step(step(index % 8 + 1))
    bar.record(train(1, error=None))
    bar.end({})
    assert 3 <= len(looks) <= 5


def test_lines_are_one_per_epoch(clock):
    place = console()
    lines = ProgressLines(place)
    lines.begin(START)
    for index in range(1, 9):
        clock(0.5)
        lines.step(step(index))
        lines.record(train(index, error=None if index == 8 else 0.25))
        if index == 4:
            lines.record(validation(index))
    lines.end({})
    assert place.file.getvalue().splitlines() == [
        "digits, LeNet: 8 steps on cpu, bf16",
        "epoch 1/2  objective 1.5000  error 25.00 %  200 examples/s  0:02 left  "
        "validation error 12.50 %",
        "epoch 2/2  objective 1.5000  200 examples/s  0:00 left",
    ]


def test_lines_say_where_a_resumed_run_goes_on():
    place = console()
    lines = ProgressLines(place)
    lines.begin(Start("x", 5, 8, 4, {}, ""))
    lines.end({})
    assert place.file.getvalue().splitlines() == ["x: 8 steps on , from step 5"]


def test_json_lines_are_strict_and_tell_all(make_problem, capsys):
    problem = make_problem()
    optimizer = torch.optim.SGD(problem.model.parameters())
    fit(problem, optimizer, Plan(epochs=1), observers=[ProgressJson()])
    lines = [
        json.loads(line, parse_constant=pytest.fail)
        for line in capsys.readouterr().out.splitlines()
    ]
    assert [line["event"] for line in lines] == ["begin", "train", "evaluation", "end"]
    assert lines[0]["total_steps"] == 1
    assert lines[-1]["status"] == "done"
    assert set(lines[-1]["splits"]) == {"train", "validation", "test"}


def test_json_has_strings_for_what_is_no_number(tmp_path):
    with (tmp_path / "events").open("w") as file:
        ProgressJson(file).record({"event": "train", "a": [math.inf, {"b": math.nan}], "c": 1.0})
    assert json.loads((tmp_path / "events").read_text()) == {
        "event": "train",
        "a": ["inf", {"b": "nan"}],
        "c": 1.0,
    }


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0:00"), (7, "0:07"), (754, "12:34"), (3723, "1:02:03")]
)
def test_durations(seconds, text):
    assert module._duration(seconds) == text
