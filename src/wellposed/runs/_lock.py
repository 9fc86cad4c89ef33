"""One process at a time writes into a run folder."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from wellposed.errors import RunFolderError

_fcntl: Any = import_module("fcntl") if find_spec("fcntl") else None  # Windows has none


@contextmanager
def exclusive(path: Path | str) -> Iterator[None]:
    """Hold a folder for as long as the block lasts, so that no other process trains into it.

    The lock is the operating system's, on the folder itself: it leaves no file behind, and ends
    with the process, whatever ends that. Where there are no such locks (Windows, some network
    disks) nothing is held.

    Args:
        path: A run folder.

    Raises `RunFolderError` if another process holds it.
    """
    descriptor = _lock(Path(path))
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _lock(path: Path) -> int | None:
    """A descriptor that holds the lock until it is closed; None where locks are not to be had.

    Raises:
        RunFolderError: If another process has it.
    """
    if _fcntl is None:
        return None
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:  # whatever is wrong with it, the work itself will say
        return None
    try:
        _fcntl.flock(descriptor, _fcntl.LOCK_EX | _fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise RunFolderError(
            f"another process is training into {path}; wait for its end, or stop it first"
        ) from None
    except OSError:  # the disk knows no locks
        os.close(descriptor)
        return None
    return descriptor
