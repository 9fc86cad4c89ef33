"""The arrays of a `.npz` file, checked against what the file can hold before they are unpacked."""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from wellposed.data._idx import DEFLATE_RATIO
from wellposed.errors import DataError, first_line

MOST_BYTES = 4 * 2**30  # of one array that has to be unpacked into memory
MAPPED_BYTES = 2**28  # arrays stored without compression are mapped from here on
_KINDS = {"buif": "numbers", "ui": "whole numbers", "U": "text"}


@contextmanager
def open_archive(path: Path) -> Iterator["Archive"]:
    """The archive, for the duration of the block; `DataError` if it is none."""
    with _refusing(path):
        archive = zipfile.ZipFile(path)
    with archive:
        yield Archive(path, archive)


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    try:
        yield
    except DataError:
        raise
    except Exception as error:  # zipfile, numpy's parser and zlib raise a dozen kinds
        fault = first_line(error)
        raise DataError(
            f"{path} cannot be read as .npz ({fault}); write it again with numpy.savez"
        ) from error


@final
class Archive:
    """An open `.npz` file.

    Args:
        path: Where it lies.
        archive: The same, open.
    """

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self.path = path
        self._archive = archive
        self._size = path.stat().st_size
        members = (info.filename for info in archive.infolist())
        self.names = tuple(n.removesuffix(".npy") for n in members if n.endswith(".npy"))

    def array(self, name: str, kinds: str) -> NDArray[Any]:
        """One array, in memory, or mapped if it is large and stored without compression.

        Args:
            name: Without the suffix `.npy`.
            kinds: The kinds of NumPy types that are right: "buif", "ui" or "U".

        Raises:
            DataError: If its header promises another size than the file holds, or it holds
                something else.
        """
        info, label = self._archive.getinfo(f"{name}.npy"), f"{self.path}: {name}"
        with _refusing(self.path), self._archive.open(info) as member:
            shape, fortran, dtype = _header(member, label)
            if dtype.kind not in kinds:
                raise DataError(f"{label} holds {dtype} values; {_KINDS[kinds]} would be right")
            size = prod(shape) * dtype.itemsize
            self._require_room(info, size + member.tell(), f"{label} (shape {shape} of {dtype})")
            if info.compress_type == zipfile.ZIP_STORED and size >= MAPPED_BYTES and not fortran:
                return self._mapped(info, member.tell(), dtype, shape)
            if size > MOST_BYTES:
                raise DataError(
                    f"{label} unpacks to {size} bytes, at most {MOST_BYTES} are unpacked; store it "
                    f"without compression (numpy.savez), it is then read piece by piece"
                )
            content = np.frombuffer(bytearray(member.read()), np.uint8)  # checks the CRC
        return content.view(dtype).reshape(shape, order="F" if fortran else "C")

    def _require_room(self, info: zipfile.ZipInfo, size: int, label: str) -> None:
        ratio = {zipfile.ZIP_STORED: 1, zipfile.ZIP_DEFLATED: DEFLATE_RATIO}
        if info.compress_type not in ratio:
            raise DataError(f"{label} is packed in a way NumPy never uses; write it again")
        most = min(info.compress_size, self._size) * ratio[info.compress_type]
        if size != info.file_size or size > most:
            raise DataError(
                f"{label} announces {size} bytes and holds {min(info.file_size, most)}; it is "
                f"truncated or hostile: write it again"
            )

    def _mapped(
        self, info: zipfile.ZipInfo, header: int, dtype: np.dtype[Any], shape: tuple[int, ...]
    ) -> NDArray[Any]:
        with self.path.open("rb") as file:
            file.seek(info.header_offset)
            local = file.read(30)
        names = int.from_bytes(local[26:28], "little") + int.from_bytes(local[28:30], "little")
        start = info.header_offset + 30 + names + header
        return np.memmap(self.path, dtype, mode="c", offset=start, shape=shape)


def _header(member: Any, label: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = npy.read_magic(member)
    if version not in ((1, 0), (2, 0)):
        raise DataError(f"{label} is an array of format {version}; write it with numpy.savez")
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran, dtype = read(member)
    if not all(type(n) is int and n >= 0 for n in shape):
        raise DataError(f"{label} announces the shape {shape}; write it again")
    return shape, fortran, dtype
