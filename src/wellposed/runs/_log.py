"""A log: one JSON object per line, appended; it survives being cut off in the middle of a line."""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, final

from wellposed.errors import RunFolderError
from wellposed.runs._atomic import atomic_write, explain, open_plain
from wellposed.runs._json import dumps, loads

_LINE = 2**20
_FILE = 2**30
_NOT_FINITE = {"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf")}


@final
@dataclass(frozen=True, slots=True)
class Log:
    """Records in the order they were made, one strict JSON object per line.

    A process that is killed leaves at most one torn line, the last: reading skips it, and the next
    `append` cuts it off. Finite floats come back bit by bit; inf and nan are strings in the file
    and floats again when read.

    Args:
        path: The file; it need not exist yet.
    """

    path: Path

    def append(self, record: dict[str, Any]) -> None:
        """Add one record; it is with the operating system when this returns, so a kill keeps it.

        Raises:
            RunFolderError: If the disk is full or the folder read-only; earlier records are intact.
        """
        line = dumps(record).encode() + b"\n"
        if len(line) > _LINE:
            raise RunFolderError(f"a record of {len(line)} bytes is too long for {self.path}")
        try:
            with self._open_to_append() as file:
                end = _cut_torn_line(file)
                try:
                    _write_all(file, line)
                except OSError:
                    with suppress(OSError):  # the next append cuts it off otherwise
                        file.truncate(end)
                    raise
        except OSError as error:
            raise explain(self.path, error, "write") from error

    def sync(self) -> None:
        """Bring all records to the disk, so that a power cut keeps them too; costs milliseconds.

        Raises `RunFolderError` if the disk refuses.
        """
        try:
            with self._open_to_append() as file:
                os.fsync(file.fileno())
        except OSError as error:
            raise explain(self.path, error, "write") from error

    def read(self) -> list[dict[str, Any]]:
        """All whole records; a log that does not exist has none.

        Raises `RunFolderError` if a line other than a torn last one is damaged.
        """
        return list(self)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """The records one by one, in constant memory; raises as `read` does."""
        return (record for record, _ in self._lines())

    def keep_until(self, step: int) -> None:
        """Drop the records with a step greater than `step`, and a torn last line.

        The lines that stay are not rewritten: they keep their bytes.

        Raises `RunFolderError` if the log is damaged or cannot be written.
        """
        if not self.path.exists():
            return
        kept = [line for record, line in self._lines() if record.get("step", step) <= step]
        content = b"".join(kept)
        if len(content) != self.path.stat().st_size:
            atomic_write(self.path, content)

    def _lines(self) -> Iterator[tuple[dict[str, Any], bytes]]:
        """Each whole record with its line in the file."""
        if not self.path.exists() and not self.path.is_symlink():
            return
        with open_plain(self.path, _FILE) as file:
            number = 0
            while line := file.readline(_LINE + 1):
                number += 1
                if not line.endswith(b"\n") and len(line) <= _LINE:
                    return  # torn: the process was killed while it wrote
                where = f"{self.path}, line {number},"
                record = loads(line, where) if len(line) <= _LINE else None
                if not isinstance(record, dict):
                    raise RunFolderError(f"{where} is not a record; restore the file from a copy")
                yield {key: _revive(value) for key, value in record.items()}, line

    def _open_to_append(self) -> BinaryIO:
        """The file, unbuffered, created if missing, and never through a link."""
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        descriptor = os.open(self.path, flags | getattr(os, "O_BINARY", 0), 0o666)
        return os.fdopen(descriptor, "r+b", buffering=0)


def _revive(value: Any) -> Any:
    """The value as it was before inf and nan became strings."""
    if isinstance(value, str):
        return _NOT_FINITE.get(value, value)
    if isinstance(value, dict):
        return {key: _revive(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_revive(item) for item in value]
    return value


def _cut_torn_line(file: BinaryIO) -> int:
    """Truncate the file after its last newline, and return its size then."""
    end = size = file.seek(0, os.SEEK_END)
    while end > 0:
        start = max(0, end - 4096)
        file.seek(start)
        newline = file.read(end - start).rfind(b"\n")
        if newline >= 0:
            end = start + newline + 1
            break
        end = start
    if end < size:
        file.truncate(end)
    return file.seek(end)


def _write_all(file: BinaryIO, line: bytes) -> None:
    """Write the whole line; a disk that takes only a part of it raises at the next part."""
    rest = memoryview(line)
    while rest:
        rest = rest[file.write(rest) :]
