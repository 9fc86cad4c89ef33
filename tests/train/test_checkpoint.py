import errno
import json
import os
import shutil

import pytest
import torch

from wellposed.errors import RunFolderError
from wellposed.train import load_checkpoint, save_checkpoint


def save(folder, step, **more):
    return save_checkpoint(folder, step, model={"w": torch.full((3,), float(step))}, **more)


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def test_the_newest_comes_back(tmp_path):
    assert load_checkpoint(tmp_path / "none") is None
    path = save(tmp_path, 7, position={"epoch": 1, "nan": float("nan")})
    save(tmp_path, 5)
    found = load_checkpoint(tmp_path)
    assert (found.step, found.path, found.skipped) == (7, path, ())
    assert found.parts["model"]["w"].tolist() == [7.0] * 3
    assert found.parts["position"]["epoch"] == 1
    assert {p.name for p in path.iterdir()} == {"state.json", "tensors.safetensors"}


def test_keeps_the_last_two_and_the_best(tmp_path):
    for step in range(1, 7):
        save(tmp_path, step, best=2 if step >= 2 else None)
    assert names(tmp_path) == ["step-00000002", "step-00000005", "step-00000006"]
    save(tmp_path, 9, keep=1)
    assert names(tmp_path) == ["step-00000009"]


def test_the_same_step_is_replaced(tmp_path):
    save(tmp_path, 3)
    save_checkpoint(tmp_path, 3, model={"w": torch.zeros(1)})
    assert load_checkpoint(tmp_path).parts["model"]["w"].tolist() == [0.0]
    assert names(tmp_path) == ["step-00000003"]


def cut(path, share=0.5):
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


CRASHES = {
    "tensors cut": lambda p: cut(p / "tensors.safetensors"),
    "tensors empty": lambda p: cut(p / "tensors.safetensors", 0),
    "tensors gone": lambda p: (p / "tensors.safetensors").unlink(),
    "tensors a folder": lambda p: (
        (p / "tensors.safetensors").unlink(),
        (p / "tensors.safetensors").mkdir(),
    ),
    "state cut": lambda p: cut(p / "state.json"),
    "state empty": lambda p: cut(p / "state.json", 0),
    "state gone": lambda p: (p / "state.json").unlink(),
    "state no object": lambda p: (p / "state.json").write_text("[]"),
    "all gone": lambda p: [f.unlink() for f in p.iterdir()],
}


@pytest.mark.parametrize("crash", CRASHES)
def test_what_a_crash_cut_short_is_passed_over(tmp_path, crash):
    save(tmp_path, 1)
    newest = save(tmp_path, 2)
    CRASHES[crash](newest)
    found = load_checkpoint(tmp_path)
    assert found.step == 1
    assert str(newest) in found.skipped[0]
    save(tmp_path, 2)  # writes over the damaged one
    assert load_checkpoint(tmp_path).step == 2


def test_where_all_are_cut_short_there_is_nothing_to_go_on_from(tmp_path):
    for step in (1, 2):
        CRASHES["tensors cut"](save(tmp_path, step))
    with pytest.raises(RunFolderError, match=r"no checkpoint is whole: .*2.*bytes.*1.*bytes"):
        load_checkpoint(tmp_path)


def flip(path):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def edit(path, **values):
    state = json.loads((path / "state.json").read_text())
    (path / "state.json").write_text(json.dumps(state | values))


CHANGES = {
    "one bit of a tensor": lambda p: flip(p / "tensors.safetensors"),
    "the step": lambda p: edit(p, step=3),
    "the digest": lambda p: edit(p, sha256="0" * 64),
    "no digest": lambda p: edit(p, sha256=None),
    "the state": lambda p: edit(p, parts={}),
    "another format": lambda p: edit(p, format=0),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_changed_is_refused_and_not_passed_over(tmp_path, change):
    save(tmp_path, 1)
    newest = save(tmp_path, 2)
    CHANGES[change](newest)
    with pytest.raises(RunFolderError, match=r"00002.* was changed.*remove .*00002"):
        load_checkpoint(tmp_path)
    shutil.rmtree(newest)  # the advice works
    assert load_checkpoint(tmp_path).step == 1


def test_a_newer_format_is_refused(tmp_path):
    edit(save(tmp_path, 1), format=2)
    with pytest.raises(RunFolderError, match=r"format 2.*up to 1.*pip install --upgrade"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("operation", ["fsync", "write", "rename", "mkdir"])
def test_a_full_disk_leaves_the_older_ones_intact(tmp_path, monkeypatch, operation):
    save(tmp_path, 1)

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        if operation == "fsync":
            patch.setattr(os, "fsync", full)
        elif operation == "write":
            patch.setattr("wellposed.train._checkpoint._write", full)
        elif operation == "rename":
            patch.setattr("pathlib.Path.rename", full)
        else:
            patch.setattr("pathlib.Path.mkdir", full)
        with pytest.raises(RunFolderError, match=r"write .*00002: no space left.*unharmed.*free"):
            save(tmp_path, 2)
    assert names(tmp_path) == ["step-00000001"]
    assert load_checkpoint(tmp_path).step == 1


class Killed(BaseException):
    """Stands for kill -9: nothing after it runs, no cleaning up either."""


@pytest.mark.parametrize("at", range(12))
def test_killed_at_any_operation_a_good_checkpoint_is_left(tmp_path, monkeypatch, at):
    save(tmp_path, 1)
    save(tmp_path, 2)
    count = 0

    def dying(original):
        def call(*args, **kwargs):
            nonlocal count
            count += 1
            if count > at:
                raise Killed
            return original(*args, **kwargs)

        return call

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", dying(os.fsync))
        patch.setattr("pathlib.Path.rename", dying(type(tmp_path).rename))
        patch.setattr("pathlib.Path.mkdir", dying(type(tmp_path).mkdir))
        patch.setattr(shutil, "rmtree", dying(shutil.rmtree))
        try:
            save(tmp_path, 3)
        except Killed:
            died = True
        else:
            died = False
    assert died == (at < 8)
    found = load_checkpoint(tmp_path)
    assert found.step in {2, 3}
    assert not found.skipped
    save(tmp_path, 4)  # and what was left lying about is cleaned up
    assert all(name.startswith("step-") for name in names(tmp_path))


def test_names_that_are_not_checkpoints_are_left_aside(tmp_path):
    save(tmp_path, 1)
    (tmp_path / "step-final").mkdir()
    assert load_checkpoint(tmp_path).step == 1
