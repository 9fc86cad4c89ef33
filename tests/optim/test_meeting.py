"""Processes that find each other, whatever earlier attempts have left in the store."""

import os
import runpy
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import nn

from wellposed.errors import ArgumentError
from wellposed.optim import Parle, meet
from wellposed.optim._meeting import follow, lead

WORKER = Path(__file__).parents[2] / "reproductions" / "parle_restart.py"


def together(store, size, absent=()):
    """All of them meet, each in a thread; the names they agree on, by rank."""
    names = {}

    def run(rank):
        try:
            names[rank] = lead(store, size, 5) if rank == 0 else follow(store, rank, 5)
        except TimeoutError as error:
            names[rank] = str(error)

    threads = [threading.Thread(target=run, args=(r,)) for r in range(size) if r not in absent]
    for thread in reversed(threads):  # the followers first: they find what was left
        thread.start()
    for thread in threads:
        thread.join()
    return names


def test_each_attempt_agrees_on_a_name_of_its_own():
    store = dist.HashStore()
    attempts = [together(store, 3) for _ in range(4)]
    assert all(len(set(names.values())) == 1 for names in attempts)
    assert len({names[0] for names in attempts}) == 4


@pytest.mark.parametrize("absent", [0, 1])
def test_an_attempt_that_failed_does_not_confuse_the_next(absent, monkeypatch):
    store = dist.HashStore()
    monkeypatch.setattr("wellposed.optim._meeting._PAUSE", 0.001)
    together(store, 2)
    alone = {}

    def run():
        try:
            alone["name"] = follow(store, 1, 0.2) if absent == 0 else lead(store, 2, 0.2)
        except TimeoutError as error:
            alone["error"] = str(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert alone == {
        "error": f"{'the first' if absent == 0 else 'the other 1'} of the processes did not come; "
        "look for their errors"
    }
    names = together(store, 2)
    assert names[0] == names[1]


def test_one_process_waits_for_nobody():
    assert together(dist.HashStore(), 1)[0]


def test_outside_of_torchrun_it_says_what_is_missing(monkeypatch):
    for key in ("RANK", "WORLD_SIZE", "MASTER_ADDR"):
        monkeypatch.delenv(key, raising=False)
    with pytest.raises(ArgumentError, match=r"no RANK, WORLD_SIZE, MASTER_ADDR.*torchrun"):
        meet()


@pytest.fixture
def one_thread():
    """Sums are rounded as in the workers."""
    usual = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(usual)


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_a_killed_replica_rejoins_and_loses_no_bit(tmp_path):
    for rank in (0, 1):
        (tmp_path / f"replica-{rank}").mkdir()
    subprocess.run(
        [
            sys.executable, "-W", "ignore", "-m", "torch.distributed.run",
            "--nproc-per-node=2", "--max-restarts=1", "--standalone",
            str(WORKER), "--worker", str(tmp_path), "--steps", "60", "--die-at", "30",
        ],
        check=True, timeout=300, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert (tmp_path / "replica-0" / "attempt-1").read_text().split()[1] == "24"
    script = runpy.run_path(str(WORKER))  # the same in one process, undisturbed
    models, batch = [script["network"]() for _ in range(2)], script["batches"]()
    groups = [{"params": m.parameters(), "replica": a} for a, m in enumerate(models)]
    optimizer = Parle(groups, **script["ARGUMENTS"])
    for step in range(60):
        optimizer.zero_grad()
        for replica, model in enumerate(models):
            x, y = batch(step, replica)
            nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    for replica, model in enumerate(models):
        assert (tmp_path / f"replica-{replica}" / "final").read_text() == script["digest"](model)
