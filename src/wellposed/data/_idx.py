"""The IDX file format of MNIST: a header with sizes, then bytes; plain or gzipped."""

import gzip
import zlib
from dataclasses import dataclass
from hashlib import sha256
from io import BufferedIOBase
from math import prod
from pathlib import Path
from typing import final

import numpy as np
from numpy.typing import NDArray

from wellposed.errors import DataError, first_line

MOST_BYTES = 2**30  # nobody publishes larger IDX files; a gzip bomb does
DEFLATE_RATIO = 1032  # no deflate stream expands further than this


@final
@dataclass(frozen=True)
class IDX:
    """The content of an IDX file.

    Args:
        values: As many dimensions as the header says.
        sha256: Of the uncompressed file, header included.
    """

    values: NDArray[np.uint8]
    sha256: str


def read_idx(path: Path, dimensions: int) -> IDX:
    """Read an IDX file of unsigned bytes; memory is bounded by what the file can hold.

    Args:
        path: Plain or gzipped, told apart by its first bytes.
        dimensions: How many the header must announce: 3 for images, 1 for labels.

    Raises:
        DataError: If the file is missing, truncated, corrupt, longer than it says or of another
            kind.
    """
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            size = path.stat().st_size
            if not packed:
                return _parse(file, path, dimensions, size)
            with gzip.GzipFile(fileobj=file) as stream:
                limit = min(MOST_BYTES, DEFLATE_RATIO * size)
                return _parse(stream, path, dimensions, limit)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"{path} cannot be read ({first_line(error)}); replace it by an undamaged copy"
        ) from error


def _parse(file: BufferedIOBase, path: Path, dimensions: int, limit: int) -> IDX:
    header = file.read(4 + 4 * dimensions)
    magic, right = header[:4], bytes((0, 0, 8, dimensions))
    if magic != right:
        raise DataError(
            f"{path} begins with the bytes {magic.hex(' ') or 'of no file'}; an IDX file of "
            f"unsigned bytes with {dimensions} dimension{'s' * (dimensions > 1)} begins with "
            f"{right.hex(' ')}: look whether files were renamed or swapped"
        )
    if len(header) < 4 + 4 * dimensions:
        raise DataError(f"{path} ends within its header; replace it by an undamaged copy")
    shape = tuple(int.from_bytes(header[i : i + 4], "big") for i in range(4, len(header), 4))
    size = prod(shape)
    if size == 0:
        raise DataError(f"{path} announces shape {shape}, which holds nothing; replace it")
    if size > limit:
        raise DataError(
            f"{path} announces shape {shape}, {size} bytes, but can hold at most {limit}; "
            f"it is truncated or hostile: replace it by an undamaged copy"
        )
    content = file.read(size)
    if len(content) < size or file.read(1):
        found = f"only {len(content)}" if len(content) < size else "more"
        raise DataError(
            f"{path} announces {size} bytes of content and holds {found}; "
            f"replace it by an undamaged copy"
        )
    digest = sha256(header)
    digest.update(content)
    values = np.frombuffer(content, np.uint8).reshape(shape)
    return IDX(values, digest.hexdigest())
