import sys

import pytest
import torch

from wellposed.errors import ArgumentError
from wellposed.train import Plan, TensorBoard, fit
from wellposed.train._observer import Start

events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")


def scalars(path):
    found = events.EventAccumulator(str(path))
    found.Reload()
    return {tag: [(e.step, e.value) for e in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


def test_curves_are_those_of_the_log(make_problem, make_folder):
    problem, folder = make_problem(), make_folder()
    optimizer = torch.optim.SGD(problem.model.parameters(), lr=0.1)
    plan = Plan(epochs=2, batch_size=16, log_every=2)
    fit(problem, optimizer, plan, folder=folder, observers=[TensorBoard()])
    curves = scalars(folder.path / "tensorboard")
    log = [r for r in folder.log.read() if r["event"] == "train"]
    expected = [(r["step"], pytest.approx(r["objective"])) for r in log]
    assert curves["train/objective"] == expected
    assert [step for step, _ in curves["validation/error"]] == [6, 12]


def test_a_resumed_run_goes_on_in_the_same_curves(tmp_path):
    for start, steps in ((0, (1, 2, 3)), (2, (3, 4))):
        board = TensorBoard(tmp_path)
        board.begin(Start("x", start, 4, 4, {}, ""))
        for at in steps:
            board.record({"event": "train", "step": at, "objective": float(10 * start + at)})
        board.end({})
    assert scalars(tmp_path)["train/objective"] == [(1, 1.0), (2, 2.0), (3, 23.0), (4, 24.0)]


def test_needs_a_place():
    with pytest.raises(ArgumentError, match="path"):
        TensorBoard().begin(Start("x", 0, 1, 1, {}, ""))


def test_says_how_to_install_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ArgumentError, match=r"pip install wellposed\[tensorboard\]"):
        TensorBoard()


def test_what_did_not_begin_can_be_ended(tmp_path):
    board = TensorBoard(tmp_path)
    board.record({"event": "train", "step": 1, "objective": 1.0})
    board.end({})
    assert not list(tmp_path.iterdir())
