import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellposed.errors import RunFolderError
from wellposed.runs import Log

records = st.lists(
    st.fixed_dictionaries(
        {"step": st.integers(0, 50), "loss": st.floats(allow_nan=False)},
        optional={"optimizer": st.dictionaries(st.text(), st.floats(allow_nan=False))},
    ),
    max_size=20,
)


@pytest.fixture
def log(tmp_path):
    return Log(tmp_path / "log.jsonl")


def fill(log, count):
    for step in range(count):
        log.append({"step": step, "loss": 1 / (step + 3)})


@given(records=records)
def test_gives_back_what_was_appended(tmp_path_factory, records):
    log = Log(tmp_path_factory.mktemp("a") / "log.jsonl")
    for record in records:
        log.append(record)
    assert log.read() == records


def test_missing_log_is_empty(log):
    assert log.read() == []
    log.keep_until(3)
    assert not log.path.exists()


def test_infinity_and_nan_return(log):
    log.append({"a": math.inf, "b": [-math.inf, {"c": math.nan}], "d": "nano"})
    [record] = log.read()
    assert record["a"] == math.inf
    assert record["b"][0] == -math.inf
    assert math.isnan(record["b"][1]["c"])
    assert record["d"] == "nano"


@given(records=records, cut=st.integers(0, 400))
def test_any_cut_loses_at_most_the_torn_record(tmp_path_factory, records, cut):
    log = Log(tmp_path_factory.mktemp("a") / "log.jsonl")
    for record in records:
        log.append(record)
    whole = log.path.read_bytes() if records else b""
    log.path.write_bytes(whole[:cut])
    left = whole[:cut].count(b"\n")
    assert log.read() == records[:left]
    log.append({"step": 99})
    assert log.read() == [*records[:left], {"step": 99}]


def test_long_torn_line_is_cut_off(log):
    fill(log, 2)
    with log.path.open("ab") as file:
        file.write(b'{"step": "' + b"x" * 10_000)
    log.append({"step": 2})
    assert [r["step"] for r in log.read()] == [0, 1, 2]


def test_keep_until_keeps_the_bytes_of_what_stays(log):
    fill(log, 9)
    log.append({"note": "has no step, so it stays"})
    lines = log.path.read_bytes().splitlines(keepends=True)
    with log.path.open("ab") as file:
        file.write(b'{"step": 3, "lo')
    log.keep_until(4)
    assert log.path.read_bytes() == b"".join(lines[:5] + lines[-1:])


def test_keep_until_leaves_a_file_alone_that_has_nothing_to_drop(log):
    fill(log, 3)
    before = log.path.stat()
    log.keep_until(2)
    assert log.path.stat().st_ino == before.st_ino


@pytest.mark.parametrize("damage", [b"{\n", b"[1]\n", b"\x00\x00\n", b"NaN\n", b"\n"], ids=str)
def test_damage_inside_is_refused(log, damage):
    fill(log, 2)
    lines = log.path.read_bytes().splitlines(keepends=True)
    log.path.write_bytes(lines[0] + damage + lines[1])
    with pytest.raises(RunFolderError, match=r"log.jsonl, line 2, is"):
        log.read()


def test_endless_line_is_refused_in_bounded_memory(log):
    with log.path.open("wb") as file:
        file.truncate(2**29)
    with pytest.raises(RunFolderError, match="line 1, is not a record"):
        log.read()


def test_endless_file_is_refused(log):
    with log.path.open("wb") as file:
        file.truncate(2**31)
    with pytest.raises(RunFolderError, match="has 2048 MiB"):
        log.read()


def test_record_that_could_not_be_read_is_not_written(log):
    with pytest.raises(RunFolderError, match="too long"):
        log.append({"text": "x" * 2**20})
    assert not log.path.exists()


def test_full_disk_keeps_the_earlier_records(log, files_at_most):
    fill(log, 3)
    size = log.path.stat().st_size
    with files_at_most(size + 10), pytest.raises(RunFolderError, match="the disk is full"):
        log.append({"step": 3, "loss": 0.1})
    assert log.path.stat().st_size == size
    log.append({"step": 3})
    assert len(log.read()) == 4


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has it")
def test_full_device():
    with pytest.raises(RunFolderError, match="cannot write /dev/full: the disk is full"):
        Log(Path("/dev/full")).append({"step": 0})


def test_read_only_folder_is_a_sentence(log, without_permission):
    with without_permission(log.path.parent):
        with pytest.raises(RunFolderError, match="does not let you write"):
            log.append({"step": 0})
        with pytest.raises(RunFolderError, match="does not let you write"):
            log.sync()


def test_sync_reaches_the_disk(log, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", synced.append)
    fill(log, 1)
    log.sync()
    assert len(synced) == 1


def test_links_are_not_followed(log, tmp_path):
    (tmp_path / "precious").write_text("mine\n")
    log.path.symlink_to(tmp_path / "precious")
    with pytest.raises(RunFolderError, match="symbolic link"):
        log.append({"step": 0})
    with pytest.raises(RunFolderError, match="symbolic link"):
        log.read()
    assert (tmp_path / "precious").read_text() == "mine\n"


def test_dangling_link_is_not_an_empty_log(log):
    log.path.symlink_to("nowhere")
    with pytest.raises(RunFolderError, match="symbolic link"):
        log.read()


def test_killed_writer_leaves_whole_records(log):
    code = (
        "import sys; from pathlib import Path; from wellposed.runs import Log\n"
        "log = Log(Path(sys.argv[1])); step = 0\n"
        "while True:\n"
        "    log.append({'step': step, 'text': 'x' * 500}); step += 1\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(log.path)])
    while not log.path.exists() or log.path.stat().st_size < 100_000:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    found = log.read()
    assert [r["step"] for r in found] == list(range(len(found)))
    assert len(found) > 100
