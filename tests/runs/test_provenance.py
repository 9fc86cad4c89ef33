import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from wellposed.runs import RunFolder, _provenance, provenance
from wellposed.runs._json import dumps


def test_says_where_a_run_came_from(tmp_path):
    found = provenance({"all": 3}, device="cpu")
    assert found["seeds"] == {"all": 3}
    assert found["device"] == "cpu"
    assert found["versions"]["torch"]
    assert found["python"] == sys.version.split()[0]
    assert found["machine"]["cores"] >= 1
    RunFolder.create(tmp_path / "run", kind="run", recipe="", provenance=found)
    assert json.loads((tmp_path / "run" / "provenance.json").read_text()) == found


def git(*words):
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run(["git", *who, *words], check=True, capture_output=True)


def test_says_the_commit_and_whether_it_is_dirty(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    git("init")
    assert provenance({})["git"] is None  # no commit yet
    Path("file").write_text("1")
    git("add", "file")
    git("commit", "-m", "first")
    found = provenance({})["git"]
    assert len(found["commit"]) == 40
    assert found["dirty"] is False
    Path("file").write_text("2")
    assert provenance({})["git"] == {"commit": found["commit"], "dirty": True}


@pytest.mark.parametrize("orig", [[], ["x" * 3000]], ids=["embedded", "long"])
def test_never_fails(monkeypatch, tmp_path, orig):
    def refuse(*words, **more):
        raise OSError

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(subprocess, "run", refuse)
    monkeypatch.setattr(Path, "read_text", refuse)
    monkeypatch.setattr(os, "sysconf", refuse)
    monkeypatch.setattr(os, "sched_getaffinity", refuse, raising=False)
    monkeypatch.setattr(_provenance, "_PACKAGES", ("no-such-package",))
    monkeypatch.setattr(sys, "argv", [])
    monkeypatch.setattr(sys, "orig_argv", orig)
    found = provenance({})
    assert found["git"] is None
    assert found["machine"]["memory_bytes"] is None
    assert found["versions"] == {"no-such-package": None}
    assert len(found["command"]) < 2010
    dumps(found)


def test_git_that_hangs_is_left_alone(monkeypatch):
    def hang(*words, **more):
        raise subprocess.TimeoutExpired("git", 10)

    monkeypatch.setattr(subprocess, "run", hang)
    assert provenance({})["git"] is None


@pytest.mark.parametrize(
    ("argv", "orig", "line"),
    [
        (["/v/bin/wellposed", "train", "a b"], ["/v/bin/python", "x"], "wellposed train 'a b'"),
        (["my.py", "1"], ["/usr/bin/python3", "my.py", "1"], "python3 my.py 1"),
    ],
    ids=["command", "script"],
)
def test_command_can_be_typed_again(monkeypatch, argv, orig, line):
    monkeypatch.setattr(sys, "argv", argv)
    monkeypatch.setattr(sys, "orig_argv", orig)
    assert provenance({})["command"] == line
