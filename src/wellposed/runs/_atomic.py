"""Write a file whole or not at all, and read it only if it is a plain file of sane size."""

import errno
import os
import secrets
import stat
from contextlib import suppress
from functools import partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from wellposed.errors import RunFolderError

_PIECE = 2**20
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NO_PERMISSION = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


def atomic_write(path: Path, data: bytes | str) -> None:
    """Replace the file at `path` by `data`; whatever happens, it holds the old or the new, whole.

    The data go to a temporary file in the same folder, reach the disk (fsync), and are then
    renamed over `path`. A symbolic link at `path` is replaced, not followed; a device, a pipe or a
    folder there is left alone.

    Args:
        path: The file to write; its folder must exist.
        data: Its new content; text is written as UTF-8.

    Raises `RunFolderError` if the disk is full, the folder read-only or missing, or `path` no plain
    file; what was there is then as it was, and no temporary file is left.
    """
    if _is_special(path):
        raise RunFolderError(f"{path} is no plain file, so it was not replaced; name a new file")
    content = data.encode("utf-8", "replace") if isinstance(data, str) else data
    temporary = path.parent / f".{secrets.token_hex(8)}.tmp"
    try:
        _write_through(temporary, content)
        temporary.replace(path)
    except OSError as error:
        raise explain(path, error, "write") from error
    finally:
        with suppress(OSError):  # after a success it has moved away
            temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _is_special(path: Path) -> bool:
    """Whether something is there that a rename would destroy for others: a device or a pipe."""
    try:
        mode = path.lstat().st_mode
    except OSError:  # met again when it is written
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISLNK(mode) or stat.S_ISDIR(mode))


def open_plain(path: Path, limit: int) -> BinaryIO:
    """Open what must be a plain file, no link, pipe or device, of at most `limit` bytes.

    Raises:
        RunFolderError: If the file is missing, unreadable, not plain, or larger.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    flags |= getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        raise explain(path, error, "read") from error
    facts = os.fstat(descriptor)
    if not stat.S_ISREG(facts.st_mode):
        os.close(descriptor)
        raise RunFolderError(
            f"{path} is not a plain file, so it was not read; look what put it there"
        )
    if facts.st_size > limit:
        os.close(descriptor)
        raise RunFolderError(
            f"{path} has {facts.st_size / 2**20:.0f} MiB where at most {limit / 2**20:g} MiB are "
            "read; it was not written by wellposed, so look what put it there"
        )
    return os.fdopen(descriptor, "rb")


def read_plain(path: Path, limit: int) -> bytes:
    """All bytes of a plain file of at most `limit` bytes.

    Raises `RunFolderError` as `open_plain`.
    """
    with open_plain(path, limit) as file:
        try:
            # In pieces, since read(n) allocates n bytes before it knows how many there are.
            pieces = iter(partial(file.read, _PIECE), b"")
            return b"".join(islice(pieces, limit // _PIECE + 1))[:limit]
        except OSError as error:
            raise explain(path, error, "read") from error


def explain(path: Path, error: OSError, verb: str) -> RunFolderError:
    """The sentence for what the operating system refused: found, what is unharmed, what to try."""
    if error.errno in _NO_SPACE:
        fault, remedy = "the disk is full", "free some space or choose another folder"
    elif error.errno in _NO_PERMISSION:
        fault = f"{path.parent} does not let you {verb}"
        remedy = "choose another folder or change its permissions"
    elif error.errno == errno.ENOENT:
        fault, remedy = "it does not exist", "check the path"
        if verb == "write":
            fault = f"the folder {path.parent} does not exist"
    elif error.errno == errno.ELOOP:
        fault, remedy = (
            "it is a symbolic link, and those are not followed",
            "put the file itself there",
        )
    else:
        fault, remedy = (error.strerror or type(error).__name__).lower(), "check the path"
    kept = " (what was there before is unharmed)" if verb == "write" else ""
    return RunFolderError(f"cannot {verb} {path}: {fault}{kept}; {remedy}")


def _write_through(path: Path, content: bytes) -> None:
    """Create `path` and bring `content` to the disk, not only to its cache."""
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Bring a rename to the disk, where the system can (Windows cannot open a folder)."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
