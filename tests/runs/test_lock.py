import errno
import os
import subprocess
import sys

import pytest

from wellposed.errors import RunFolderError
from wellposed.runs import _lock, exclusive

HOLD = """
import sys
from wellposed.runs import exclusive
with exclusive(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_folder_is_held_once_and_let_go_at_the_end(tmp_path):
    with (
        exclusive(tmp_path),
        pytest.raises(RunFolderError, match="another process is training into"),
        exclusive(tmp_path),
    ):
        pass
    with exclusive(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []  # no lock file is left


def test_another_process_is_refused_until_the_first_is_killed(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(RunFolderError, match="wait for its end"), exclusive(tmp_path):
            pass
        holder.kill()
    with exclusive(tmp_path):
        pass


def test_a_folder_inside_a_held_one_is_free(tmp_path):
    (tmp_path / "inner").mkdir()
    with exclusive(tmp_path), exclusive(tmp_path / "inner"):
        pass


def test_an_error_inside_lets_go(tmp_path):
    with pytest.raises(KeyError), exclusive(tmp_path):
        raise KeyError
    with exclusive(tmp_path):
        pass


def test_where_there_are_no_locks_nothing_is_held(tmp_path, monkeypatch):
    with exclusive(tmp_path / "absent"):
        pass

    def refuse(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(_lock._fcntl, "flock", refuse)
    with exclusive(tmp_path), exclusive(tmp_path):
        pass
    monkeypatch.setattr(_lock, "_fcntl", None)
    with exclusive(tmp_path), exclusive(tmp_path):
        pass
