import errno
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellposed.errors import RunFolderError
from wellposed.runs import atomic_write
from wellposed.runs._atomic import explain, open_plain, read_plain


@given(data=st.binary() | st.text(st.characters(codec="utf-8")))
def test_holds_what_was_written(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("a") / "file"
    atomic_write(path, data)
    assert path.read_bytes() == (data.encode() if isinstance(data, str) else data)
    assert [p.name for p in path.parent.iterdir()] == ["file"]


def test_full_disk_keeps_the_older_file(tmp_path, full_disk):
    path = tmp_path / "file"
    path.write_text("older")
    with pytest.raises(RunFolderError, match=r"the disk is full .*unharmed.*; free some space"):
        atomic_write(path, "newer")
    assert path.read_text() == "older"
    assert list(tmp_path.iterdir()) == [path]


def test_file_cut_off_by_the_system_keeps_the_older_file(tmp_path, files_at_most):
    path = tmp_path / "file"
    path.write_text("older")
    with files_at_most(100), pytest.raises(RunFolderError, match="the disk is full"):
        atomic_write(path, b"x" * 1000)
    assert path.read_text() == "older"
    assert list(tmp_path.iterdir()) == [path]


def test_read_only_folder_is_a_sentence(tmp_path, without_permission):
    path = tmp_path / "file"
    path.write_text("older")
    with (
        without_permission(tmp_path),
        pytest.raises(RunFolderError, match=f"{tmp_path} does not let you write"),
    ):
        atomic_write(path, "newer")
    assert path.read_text() == "older"
    assert list(tmp_path.iterdir()) == [path]


def test_missing_folder_is_a_sentence(tmp_path):
    with pytest.raises(RunFolderError, match=r"the folder .*nowhere does not exist"):
        atomic_write(tmp_path / "nowhere" / "file", "text")


def test_interruption_leaves_no_temporary_file(tmp_path, monkeypatch):
    def interrupt(descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        atomic_write(tmp_path / "file", "text")
    assert not list(tmp_path.iterdir())


def test_link_is_replaced_not_followed(tmp_path):
    outside = tmp_path / "outside"
    outside.write_text("precious")
    path = tmp_path / "file"
    path.symlink_to(outside)
    atomic_write(path, "text")
    assert outside.read_text() == "precious"
    assert path.read_text() == "text"
    assert not path.is_symlink()


def test_folder_in_the_way_is_a_sentence(tmp_path):
    (tmp_path / "file").mkdir()
    with pytest.raises(RunFolderError, match=r"cannot write .*file: is a directory"):
        atomic_write(tmp_path / "file", "text")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with names are for Unix")
def test_a_pipe_or_device_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(RunFolderError, match="pipe is no plain file, so it was not replaced"):
        atomic_write(tmp_path / "pipe", "data")
    assert (tmp_path / "pipe").is_fifo()
    assert [p.name for p in tmp_path.iterdir()] == ["pipe"]


def test_system_that_cannot_sync_a_folder_still_writes(tmp_path, monkeypatch):
    def refuse(path, flags, *rest):
        raise PermissionError(errno.EACCES, "no")

    monkeypatch.setattr(os, "open", refuse)
    atomic_write(tmp_path / "file", "text")
    assert (tmp_path / "file").read_text() == "text"


def test_reads_only_plain_files(tmp_path):
    os.mkfifo(tmp_path / "pipe")  # opening it would wait for a writer for ever
    (tmp_path / "link").symlink_to("/dev/zero")
    with pytest.raises(RunFolderError, match="pipe is not a plain file"):
        read_plain(tmp_path / "pipe", 10)
    with pytest.raises(RunFolderError, match="symbolic link"):
        read_plain(tmp_path / "link", 10)
    with pytest.raises(RunFolderError, match="it does not exist"):
        read_plain(tmp_path / "nothing", 10)
    with pytest.raises(RunFolderError, match="not a plain file"):
        read_plain(tmp_path, 10)


def test_larger_file_is_refused_unread(tmp_path):
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(2**40)  # sparse: takes no space, and no time unless it is read
    with pytest.raises(RunFolderError, match="has 1048576 MiB where at most 64 MiB are read"):
        read_plain(tmp_path / "huge", 64 * 2**20)


def test_file_without_permission_is_a_sentence(tmp_path, without_permission):
    (tmp_path / "file").write_text("secret")
    (tmp_path / "file").chmod(0o000)
    with without_permission(tmp_path), pytest.raises(RunFolderError, match="does not let you read"):
        read_plain(tmp_path / "file", 10)


def test_failure_while_reading_is_a_sentence(tmp_path, monkeypatch):
    class Broken:
        def __enter__(self):
            return self

        def __exit__(self, *rest):
            return None

        def read(self, _):
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("wellposed.runs._atomic.open_plain", lambda *_: Broken())
    with pytest.raises(RunFolderError, match="input/output error; check the path"):
        read_plain(tmp_path / "file", 10)


def test_open_plain_gives_bytes(tmp_path):
    (tmp_path / "file").write_bytes(b"a\r\nb")
    with open_plain(tmp_path / "file", 10) as file:
        assert file.read() == b"a\r\nb"


def test_fault_without_a_number_is_named_by_its_class(tmp_path):
    assert "oserror" in str(explain(tmp_path, OSError(), "read"))
