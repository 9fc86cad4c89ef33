"""The plain files inside a gzipped tar archive, one after another, without unpacking it."""

import gzip
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path

from wellposed.errors import DataError, first_line

_BLOCK = 512


def members(
    path: Path, wanted: Collection[str], *, most: int, total: int
) -> Iterator[tuple[str, bytes]]:
    """(name, content) of the wanted members, in the archive's order; nothing touches the disk.

    A name counts only if it is exactly one of `wanted`, so that "../" leads nowhere; links,
    devices and extended headers are passed over.

    Args:
        path: A `.tar.gz` file.
        wanted: Full member names.
        most: Bytes that a wanted member may hold.
        total: Bytes that the archive may unpack to.

    Raises:
        DataError: If the archive is truncated, corrupt or larger than allowed.
    """
    try:
        with gzip.open(path, "rb") as stream:
            read = 0
            while len(header := stream.read(_BLOCK)) == _BLOCK and header.strip(b"\0"):
                name, size = _name_and_size(header, path)
                padded = -(-size // _BLOCK) * _BLOCK
                read += _BLOCK + padded
                if read > total or (name in wanted and size > most):
                    raise DataError(
                        f"{path}: the member {name!r} announces {size} bytes; at most {most} per "
                        f"file and {total} in all are right: replace it by the published archive"
                    )
                if name in wanted and header[156:157] in (b"0", b"\0"):
                    content = stream.read(padded)
                    _require_whole(len(content) == padded, path)
                    yield name, content[:size]
                else:
                    _skip(stream, padded, path)
            _require_whole(len(header) == _BLOCK, path)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"{path} cannot be read ({first_line(error)}); replace it by an undamaged copy"
        ) from error


def _name_and_size(header: bytes, path: Path) -> tuple[str, int]:
    spaced = header[:148] + b" " * 8 + header[156:]
    try:
        announced = int(header[148:156].strip(b" \0") or b"0", 8)
        size = int(header[124:136].strip(b" \0") or b"0", 8)
    except ValueError:
        announced, size = -1, -1
    if announced != sum(spaced) or size < 0:
        raise DataError(f"{path} is not a tar archive, or damaged; replace it by an undamaged copy")
    return header[:100].split(b"\0", 1)[0].decode("utf-8", "replace"), size


def _skip(stream: gzip.GzipFile, size: int, path: Path) -> None:
    while size > 0:
        passed = len(stream.read(min(size, 2**20)))
        _require_whole(passed > 0, path)
        size -= passed


def _require_whole(condition: bool, path: Path) -> None:  # noqa: FBT001
    if not condition:
        raise DataError(f"{path} ends too early; replace it by an undamaged copy")
