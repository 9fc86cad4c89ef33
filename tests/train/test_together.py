"""Replicas go on from the newest checkpoint that all of them have."""

import pytest
import torch
import torch.distributed as dist

from wellposed.optim import Replicas
from wellposed.train import load_together, save_checkpoint


@pytest.fixture
def alone():
    """A process group of one."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield Replicas()
    dist.destroy_process_group()


class Others:
    """What the minimum over processes is, if others hold these checkpoints."""

    def __init__(self, replicas, held):
        self.replicas, self.held = replicas, held

    def patch(self, monkeypatch):
        usual = Replicas.newest_common
        monkeypatch.setattr(
            Replicas, "newest_common", lambda r, mine: usual(r, set(mine) & set(self.held))
        )


def save(folder, *steps):
    for step in steps:
        save_checkpoint(folder, step, keep=9, model={"w": torch.full((2,), float(step))})


def test_the_newest_if_all_have_it(alone, tmp_path):
    save(tmp_path, 5, 10)
    found = load_together(tmp_path, alone)
    assert (found.step, found.parts["model"]["w"].tolist()) == (10, [10.0, 10.0])


def test_the_newest_in_common_and_nothing_later_stays(alone, tmp_path, monkeypatch):
    save(tmp_path, 5, 10, 15)
    Others(alone, {5, 10, 20}).patch(monkeypatch)
    assert load_together(tmp_path, alone).step == 10
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-00000005", "step-00000010"]


def test_a_damaged_one_is_passed_over_by_all(alone, tmp_path):
    save(tmp_path, 5, 10)
    (tmp_path / "step-00000010" / "tensors.safetensors").write_bytes(b"")
    assert load_together(tmp_path, alone).step == 5


@pytest.mark.parametrize("others", [set(), {7}])
def test_none_in_common_is_a_new_beginning(alone, tmp_path, monkeypatch, others):
    save(tmp_path, 5)
    Others(alone, others).patch(monkeypatch)
    assert load_together(tmp_path, alone) is None
    assert not list(tmp_path.iterdir())


def test_no_checkpoint_at_all(alone, tmp_path):
    assert load_together(tmp_path / "missing", alone) is None
