import errno
import os
import resource
from contextlib import contextmanager
from pathlib import Path

import pytest

from wellposed.runs import RunFolder


@pytest.fixture
def folder(tmp_path):
    return RunFolder.create(tmp_path / "run", kind="run", recipe="seed = 0\n", provenance={})


@pytest.fixture
def files_at_most():
    """A disk that has room for so many bytes per file, enforced by the kernel."""

    @contextmanager
    def limit(size):
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return limit


@pytest.fixture
def without_permission():
    """A moment in which the folder may not be written, also where the tests run as root."""

    @contextmanager
    def forbid(path: Path):
        mode = path.stat().st_mode
        path.chmod(0o500)
        root = os.geteuid() == 0
        if root:
            os.seteuid(65534)
        try:
            yield
        finally:
            if root:
                os.seteuid(0)
            path.chmod(mode)

    return forbid


@pytest.fixture
def full_disk(monkeypatch):
    """A disk that is full when the data should reach it."""

    def refuse(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", refuse)
