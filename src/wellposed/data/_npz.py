"""NumPy archives, read without pickle and without believing their headers."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from wellposed.data._base import Raw, Source
from wellposed.data._examples import Examples
from wellposed.data._npz_archive import Archive, open_archive
from wellposed.data._places import Places, is_file
from wellposed.errors import DataError

_PARTS = {
    "train": (("x_train", "y_train"), ("train_images", "train_labels"), ("inputs", "targets"),
              ("x", "y"), ("X", "y")),
    "validation": (("x_validation", "y_validation"), ("x_val", "y_val"),
                   ("val_images", "val_labels")),
    "test": (("x_test", "y_test"), ("test_images", "test_labels")),
}  # fmt: skip


@final
@dataclass(frozen=True)
class NPZ(Source):
    """Arrays in a `.npz` file: `x_train`, `y_train`, `x_test`, `y_test`, or `inputs`, `targets`.

    Also found are `x_val`, `y_val`, and the names `train_images`, `train_labels`, ... and `x`,
    `y`. Inputs have shape (n, features), (n, height, width), (n, channels, height, width) or
    (n, height, width, channels); bytes stand for 255ths, other numbers are taken as they are. An
    array `classes` of text may name the classes. Large arrays that are stored without compression
    (`numpy.savez`) are mapped, not loaded.

    Args:
        path: The file; a relative one is looked for here and then below the usual places.
    """

    path: str | Path
    name = "npz"

    def find(self, places: Places) -> str | None:
        """The file, or None."""
        try:
            return str(places.locate(self.path))
        except DataError:
            return None

    def read(self, places: Places) -> Raw:
        """The parts whose arrays are there, checked against each other."""
        path = places.locate(self.path)
        if not is_file(path):
            raise DataError(f"{path} is no file; an .npz file is written by numpy.savez")
        with open_archive(path) as archive:
            parts = _parts(archive)
            classes = _classes(archive, 1 + max(int(p.targets.max()) for p in parts.values()))
            return Raw(
                train=parts["train"],
                validation=parts.get("validation"),
                test=parts.get("test"),
                classes=classes,
                origin=str(archive.path),
            )


def _parts(archive: Archive) -> dict[str, Examples]:
    parts: dict[str, Examples] = {}
    for part, choices in _PARTS.items():
        for x, y in choices:
            if part not in parts and x in archive.names and y in archive.names:
                parts[part] = _examples(archive, x, y)
    if "train" not in parts:
        raise DataError(
            f"{archive.path} holds {', '.join(archive.names) or 'nothing'}; it needs x_train and "
            f"y_train, or inputs and targets"
        )
    return parts


def _examples(archive: Archive, x: str, y: str) -> Examples:
    inputs, targets = archive.array(x, "buif"), archive.array(y, "ui")
    if targets.ndim == 2 and targets.shape[1] == 1:
        targets = targets[:, 0]
    if targets.ndim != 1 or inputs.ndim < 2 or len(targets) != len(inputs) or inputs.size == 0:
        raise DataError(
            f"{archive.path}: {x} has shape {inputs.shape} and {y} {targets.shape}; there must be "
            f"one class number per input, and inputs of at least one number"
        )
    low, high = int(targets.min()), int(targets.max())
    if low < 0 or high >= len(targets):
        raise DataError(
            f"{archive.path}: {y} holds class numbers from {low} to {high} for {len(targets)} "
            f"examples; number the classes 0, 1, 2, ..."
        )
    if inputs.dtype != np.uint8:
        inputs = inputs.astype(np.float32, copy=False)
    return Examples(_channels_first(inputs), targets.astype(np.int64))


def _channels_first(inputs: NDArray[Any]) -> NDArray[Any]:
    """Images as (n, channels, height, width); feature vectors as they are."""
    if inputs.ndim == 3:
        return inputs[:, None]
    if inputs.ndim == 4 and inputs.shape[1] not in (1, 3) and inputs.shape[3] in (1, 3, 4):
        return np.ascontiguousarray(inputs.transpose(0, 3, 1, 2))
    return inputs


def _classes(archive: Archive, count: int) -> tuple[str, ...]:
    if "classes" not in archive.names:
        return tuple(map(str, range(count)))
    names = archive.array("classes", "U")
    if names.ndim != 1 or len(names) < count:
        raise DataError(
            f"{archive.path}: classes has shape {names.shape}, but there are {count} classes; give "
            f"one name per class"
        )
    return tuple(names.tolist())
