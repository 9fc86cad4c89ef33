import pytest
import torch

from wellposed.data import Batches
from wellposed.optim import SGD
from wellposed.runs import Status
from wellposed.train import Plan, Precision, load_checkpoint
from wellposed.train import _journal as module
from wellposed.train._journal import Journal
from wellposed.train._training import Training


@pytest.fixture
def training(make_problem, dataset):
    problem = make_problem()
    optimizer = SGD(problem.model.parameters(), lr=0.1, momentum=0.9)
    batches = Batches(dataset.train, 16)
    plan = Plan(batch_size=16)
    return Training(problem, optimizer, plan, (), torch.device("cpu"), Precision(), batches)


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])

    def wait(seconds):
        now[0] += seconds

    return wait


def test_a_checkpoint_is_due_after_30_seconds(training, make_folder, clock):
    journal = Journal(training, make_folder(), ())
    journal.begin("x", {})
    clock(29)
    assert not journal.is_time_to_save()
    clock(2)
    assert journal.is_time_to_save()
    journal.save()
    assert not journal.is_time_to_save()


def test_a_slow_checkpoint_is_written_seldom(training, make_folder, clock, monkeypatch):
    # Written in 10 s, it is due after 200 s, so that it costs at most 5 % of the time.
    monkeypatch.setattr(module, "save_checkpoint", lambda *_, **__: clock(10))
    journal = Journal(training, make_folder(), ())
    journal.begin("x", {})
    journal.save()
    clock(199)
    assert not journal.is_time_to_save()
    clock(2)
    assert journal.is_time_to_save()


def test_one_checkpoint_per_step_is_enough(training, make_folder, monkeypatch):
    journal = Journal(training, make_folder(), ())
    journal.begin("x", {})
    journal.save()
    monkeypatch.setattr(module, "save_checkpoint", None)
    journal.save()


def test_without_a_folder_one_can_go_back_in_memory(training):
    journal = Journal(training, None, ())
    journal.begin("x", {})
    start = training.problem.model[0].weight.clone()
    moving = training.descend()
    next(moving)
    assert journal.go_back() == 0
    assert torch.equal(training.problem.model[0].weight, start)
    moving = training.descend()
    next(moving)
    journal.save()
    kept = training.problem.model[0].weight.clone()
    buffer = next(iter(training.optimizer.state.values()))["momentum_buffer"].clone()
    next(moving)
    assert journal.go_back() == 1
    assert torch.equal(training.problem.model[0].weight, kept)
    assert torch.equal(next(iter(training.optimizer.state.values()))["momentum_buffer"], buffer)


def test_records_beyond_the_checkpoint_are_dropped_on_resuming(training, make_folder, make_watch):
    folder = make_folder()
    journal = Journal(training, folder, ())
    journal.begin("x", {})
    moving = training.descend()
    for _ in range(2):
        next(moving)
    journal.write_means()
    journal.save()
    for _ in range(2):
        next(moving)
    journal.write_means()
    with folder.log.path.open("ab") as file:
        file.write(b'{"event":"tr')  # torn
    watch = make_watch()
    again = Journal(training, folder, [watch])
    again.begin("x", {})
    assert [r["step"] for r in again.records] == [2]
    assert [r["step"] for r in folder.log.read()] == [r["step"] for r in folder.clock.read()] == [2]
    assert watch.all("begin")[0].step == 2
    assert load_checkpoint(folder.checkpoints).step == 2


def test_the_end_is_written_and_told(training, make_folder, make_watch):
    folder, watch = make_folder(), make_watch()
    journal = Journal(training, folder, [watch])
    journal.begin("x", {"device": "cpu"})
    assert folder.status is Status.RUNNING
    journal.end(Status.FAILED, error="because")
    assert folder.status is Status.FAILED
    assert folder.facts == {"step": 0, "error": "because"}
    assert watch.all("end") == [{"status": "failed", "step": 0, "error": "because"}]
