"""Folders of images, one subfolder per class."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from wellposed.data._base import Raw, Source
from wellposed.data._examples import Examples
from wellposed.data._image import SUFFIXES, decode
from wellposed.data._places import Places, is_folder
from wellposed.data._store import Store
from wellposed.errors import DataError, require

_PARTS = {
    "train": ("train", "training"),
    "validation": ("validation", "val", "valid"),
    "test": ("test", "testing"),
}
_UNREAD = (".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".avif", ".heic", ".jp2")


@final
@dataclass(frozen=True)
class ImageFolder(Source):
    """Images in a folder per class, below `train`, `val` and `test` or all in one folder.

    Classes are named after their folders, in alphabetical order. Files that are no images are
    passed over, hidden files too. Images are decoded by several threads.

    Args:
        path: The folder; a relative one is looked for here and then below the usual places.
        size: Height and width, in pixels, that the middle square of every image is resized to;
            None if all have one size already.
        channels: 3 for color, 1 for gray.
    """

    path: str | Path
    size: int | None = None
    channels: int = 3
    name = "imagefolder"

    def __post_init__(self) -> None:
        require(self.channels in (1, 3), f"ImageFolder needs channels 1 or 3, got {self.channels}")
        fits = self.size is None or 1 <= self.size <= 4096
        require(fits, f"ImageFolder needs a size between 1 and 4096 pixels, got {self.size}")

    def find(self, places: Places) -> str | None:
        """The folder, or None."""
        try:
            return str(places.locate(self.path))
        except DataError:
            return None

    def read(self, places: Places) -> Raw:
        """The parts that have a folder of their own; images are decoded when they are asked for.

        Raises:
            DataError: If a folder, a class or an image is not as it should be.
        """
        root = places.locate(self.path)
        if not is_folder(root):
            raise DataError(f"{root} is a file; an image folder is a folder of class folders")
        folders = {part: _part_folder(root, names) for part, names in _PARTS.items()}
        if folders["train"] is None:
            folders = {"train": root, "validation": None, "test": None}
        found = {part: _scan(f, root.resolve()) for part, f in folders.items() if f is not None}
        classes = tuple(found["train"])
        size = (self.size, self.size) if self.size else None
        if size is None:
            first = next(iter(found["train"].values()))[0]
            size = decode(first, self.channels, None).shape[1:]
        parts = {}
        for part, files in found.items():
            if unknown := sorted(set(files) - set(classes)):
                raise DataError(
                    f"{folders[part]} has the class {unknown[0]!r}, which {folders['train']} has "
                    f"not; the train part must show every class"
                )
            store = _Files([f for paths in files.values() for f in paths], self, size)
            numbers = [classes.index(c) for c, paths in files.items() for _ in paths]
            parts[part] = Examples(store, torch.tensor(numbers))
        return Raw(
            train=parts["train"],
            validation=parts.get("validation"),
            test=parts.get("test"),
            classes=classes,
            origin=str(root),
        )


@final
class _Files(Store):
    """Image files, decoded whenever they are read."""

    def __init__(self, paths: list[Path], source: ImageFolder, size: tuple[int, ...]) -> None:
        self._paths = paths
        self._source = source
        self._size = (size[0], size[1])

    @property
    def shape(self) -> tuple[int, ...]:
        return (self._source.channels, *self._size)

    def __len__(self) -> int:
        return len(self._paths)

    def read(self, rows: Int64[Tensor, " rows"]) -> UInt8[Tensor, "rows channels height width"]:
        pixels = np.empty((len(rows), *self.shape), np.uint8)
        resized = self._size if self._source.size else None
        for at, row in enumerate(rows.tolist()):
            one = decode(self._paths[row], self._source.channels, resized)
            if one.shape != self.shape:
                height, width = one.shape[1:]
                raise DataError(
                    f"{self._paths[row]} has {width}x{height} pixels, the first image "
                    f"{self._size[1]}x{self._size[0]}; give a size to resize all of them to"
                )
            pixels[at] = one
        return torch.from_numpy(pixels)


def _part_folder(root: Path, names: tuple[str, ...]) -> Path | None:
    return next((root / name for name in names if is_folder(root / name)), None)


def _scan(folder: Path, root: Path) -> dict[str, list[Path]]:
    """The image files of every class, both in alphabetical order."""
    entries = _sorted(folder)
    classes = {e.name: list(_images(Path(e.path), root)) for e in entries if e.is_dir()}
    for name, files in classes.items():
        if not files:
            raise DataError(
                f"{folder / name} holds no image ({' '.join(SUFFIXES)}); put some there or remove "
                f"the folder"
            )
    if len(classes) < 2:
        raise DataError(
            f"{folder} has {len(classes)} class folders; an image folder has one folder per class, "
            f"at least two, with the images inside"
        )
    return classes


def _images(folder: Path, root: Path) -> Iterator[Path]:
    _require_inside(folder, root)
    for entry in _sorted(folder):
        path, suffix = Path(entry.path), Path(entry.name).suffix.lower()
        if entry.is_dir():
            raise DataError(f"{path} is a folder inside a class folder; move its images up one")
        if suffix in _UNREAD:
            raise DataError(f"{path} is of a kind that is not read; convert it to PNG or JPEG")
        if suffix in SUFFIXES:
            if entry.is_symlink():
                _require_inside(path, root)
            if not entry.is_file():
                raise DataError(f"{path} is no regular file, or a broken link; remove it")
            yield path


def _sorted(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted((e for e in entries if not e.name.startswith(".")), key=lambda e: e.name)
    except OSError as error:
        raise DataError(f"{folder} cannot be read ({error}); check who may read it") from error


def _require_inside(path: Path, root: Path) -> None:
    if not path.resolve().is_relative_to(root):
        raise DataError(
            f"{path} is a link that leads out of {root}; copy what it points to into the folder"
        )
