"""CIFAR-10 in its official binary and python layouts, unpacked or in their archives."""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import md5, sha256
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from wellposed.data._base import Downloadable, Raw
from wellposed.data._download import download
from wellposed.data._examples import Examples
from wellposed.data._pickle import read_pickle
from wellposed.data._places import Places, is_file
from wellposed.data._published import CIFAR10_FILES, CONTENT
from wellposed.data._tar import members
from wellposed.errors import DataError

_TRAIN = ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5")
_NAMES = (*_TRAIN, "test_batch")
_CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
_PIXELS = 3 * 32 * 32
_MOST = 64 * 2**20  # bytes of one file; the published ones have half of it
_HOMES = ("", "cifar10", "CIFAR10", "cifar-10")
_FOLDERS = ("cifar-10-batches-bin", "cifar-10-batches-py")
_ARCHIVES = {
    "cifar-10-binary.tar.gz": "cifar-10-batches-bin",
    "cifar-10-python.tar.gz": "cifar-10-batches-py",
}
_PYTHON_MD5 = {  # the python layout's files are known by their MD5
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}


@final
@dataclass(frozen=True)
class CIFAR10(Downloadable):
    """Photographs: 50,000 train and 10,000 test images, (3, 32, 32), 10 classes.

    Reads `cifar-10-batches-bin`, `cifar-10-batches-py` and their `.tar.gz` archives, below a place
    or its folder `cifar10`. Files whose checksums are not the published ones, such as images that
    went through JPEG, are read, but `Raw.published` is then False and reports say so.

    References:
        Krizhevsky, Learning multiple layers of features from tiny images, 2009.
    """

    name = "cifar10"

    def find(self, places: Places) -> str | None:
        """The first folder or archive, or None."""
        path = _found(places)
        return None if path is None else str(path)

    def fetch(self, places: Places) -> str:
        """The folder or archive; the binary archive goes into the cache if there is none."""
        return str(self._ensure(places))

    def read(self, places: Places) -> Raw:
        """The train and the test part; sizes, labels and counts are checked."""
        path = self._ensure(places)
        files = dict(_archived(path) if is_file(path) else _unpacked(path))
        if lacking := [name for name in _NAMES if name not in files]:
            raise DataError(f"{path} lacks {', '.join(lacking)}; put the published files there")
        read = {name: file.parse() for name, file in files.items()}
        return Raw(
            train=Examples(*map(np.concatenate, zip(*(read[n] for n in _TRAIN), strict=True))),
            test=Examples(*read["test_batch"]),
            classes=_CLASSES,
            license="none stated by its authors",
            citation="""@techreport{krizhevsky2009learning,
  author = {Krizhevsky, Alex},
  title = {Learning multiple layers of features from tiny images},
  institution = {University of Toronto}, year = {2009}
}""",
            origin=str(path),
            published=all(file.published for file in files.values()),
        )

    def _ensure(self, places: Places) -> Path:
        if (path := _found(places)) is not None:
            return path
        if places.offline:
            raise places.refusal(self.name, [f"{f}/" for f in _FOLDERS] + list(_ARCHIVES))
        return download(CIFAR10_FILES[0], places.cache / self.name, places)


@final
@dataclass(frozen=True)
class _File:
    """One batch file: its layout tells by the suffix."""

    path: Path
    content: bytes

    @property
    def binary(self) -> bool:
        return self.path.suffix == ".bin"

    @property
    def published(self) -> bool:
        if self.binary:
            return sha256(self.content).hexdigest() == CONTENT["cifar10"][self.path.name]
        digest = md5(self.content, usedforsecurity=False).hexdigest()
        return digest == _PYTHON_MD5[self.path.name]

    def parse(self) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Inputs (n, 3, 32, 32) and targets (n,)."""
        pixels, labels = self._records() if self.binary else self._pickled()
        if labels.min() < 0 or labels.max() > 9:
            bad = labels.min() if labels.min() < 0 else labels.max()
            raise DataError(
                f"{self.path} holds the label {bad}, labels go from 0 to 9; replace it by an "
                f"undamaged copy"
            )
        return pixels.reshape(-1, 3, 32, 32), labels

    def _records(self) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        size = len(self.content)
        if size == 0 or size % (1 + _PIXELS):
            raise DataError(
                f"{self.path} has {size} bytes, which is no whole number of {1 + _PIXELS}-byte "
                f"records; it is truncated or not CIFAR-10: replace it by the published file"
            )
        records = np.frombuffer(self.content, np.uint8).reshape(-1, 1 + _PIXELS)
        return records[:, 1:], records[:, 0].astype(np.int64)

    def _pickled(self) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        batch = read_pickle(self.content, self.path)
        entries = batch if isinstance(batch, dict) else {}
        pixels: Any = entries.get(b"data", entries.get("data"))
        labels: Any = entries.get(b"labels", entries.get("labels"))
        arrays = isinstance(pixels, np.ndarray) and isinstance(labels, list)
        right = arrays and (
            pixels.shape == (len(labels), _PIXELS)
            and len(labels) > 0
            and all(isinstance(label, int) and abs(label) < 256 for label in labels)
        )
        if not right:
            raise DataError(
                f"{self.path} is a pickle, but not of 'data', an array of {_PIXELS} bytes per row, "
                f"with as many small 'labels'; replace it by the published file"
            )
        return pixels, np.array(labels, np.int64)


def _found(places: Places) -> Path | None:
    homes = [place / home for place in places.folders for home in _HOMES]
    for home in homes:
        for folder in (home / _FOLDERS[0], home / _FOLDERS[1], home):
            if is_file(folder / "test_batch.bin") or is_file(folder / "test_batch"):
                return folder
        for archive in _ARCHIVES:
            if is_file(home / archive):
                return home / archive
    return None


def _unpacked(folder: Path) -> Iterator[tuple[str, _File]]:
    suffix = ".bin" if is_file(folder / "test_batch.bin") else ""
    for name in _NAMES:
        path = folder / f"{name}{suffix}"
        if not is_file(path):
            continue
        try:
            with path.open("rb") as file:
                content = file.read(_MOST + 1)
        except OSError as error:
            raise DataError(f"{path} cannot be read ({error}); check it") from error
        if len(content) > _MOST:
            raise DataError(f"{path} has more than {_MOST} bytes, which is not right; replace it")
        yield name, _File(path, content)


def _archived(path: Path) -> Iterator[tuple[str, _File]]:
    folder = _ARCHIVES[path.name]
    suffix = ".bin" if folder.endswith("bin") else ""
    wanted = {f"{folder}/{name}{suffix}": name for name in _NAMES}
    for member, content in members(path, wanted, most=_MOST, total=8 * _MOST):
        yield wanted[member], _File(path / member, content)
