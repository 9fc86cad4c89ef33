"""MNIST and the datasets that come in its four files."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, final

import torch

from wellposed.data._base import Downloadable, Raw
from wellposed.data._download import download
from wellposed.data._examples import Examples
from wellposed.data._idx import IDX, read_idx
from wellposed.data._places import Places, is_file
from wellposed.data._published import (
    CONTENT,
    FASHION_MNIST_FILES,
    MNIST_FILES,
    TEST_INPUTS,
    TEST_TARGETS,
    TRAIN_INPUTS,
    TRAIN_TARGETS,
    Remote,
    identify,
)
from wellposed.errors import DataError

_NAMES = (TRAIN_INPUTS, TRAIN_TARGETS, TEST_INPUTS, TEST_TARGETS)


class FourFiles(Downloadable):
    """A dataset of 28x28 gray images in MNIST's four IDX files, plain or gzipped."""

    folders: ClassVar[tuple[str, ...]]
    """Where the files lie below a place, best first."""
    remotes: ClassVar[tuple[Remote, ...]]
    classes: ClassVar[tuple[str, ...]]
    license: ClassVar[str]
    citation: ClassVar[str]

    def find(self, places: Places) -> str | None:
        """The first folder that has all four files, or None."""
        folder = self._folder(places)
        return None if folder is None else str(folder)

    def fetch(self, places: Places) -> str:
        """The folder with all four files; what is missing everywhere goes into the cache."""
        return str(self._ensure(places))

    def read(self, places: Places) -> Raw:
        """The train and the test part; labels, counts and sizes are checked."""
        folder = self._ensure(places)
        files = {name: self._read(folder, name) for name in _NAMES}
        return Raw(
            train=self._examples(folder, files, TRAIN_INPUTS, TRAIN_TARGETS),
            test=self._examples(folder, files, TEST_INPUTS, TEST_TARGETS),
            classes=self.classes,
            license=self.license,
            citation=self.citation,
            origin=str(folder),
            published=all(files[n].sha256 == CONTENT[self.name][n] for n in _NAMES),
        )

    def _folder(self, places: Places) -> Path | None:
        candidates = (place / name for place in places.folders for name in self.folders)
        return next((c for c in candidates if all(_existing(c, n) for n in _NAMES)), None)

    def _ensure(self, places: Places) -> Path:
        if (folder := self._folder(places)) is not None:
            return folder
        if places.offline:
            raise places.refusal(self.name, [f"{name}/" for name in self.folders])
        folder = places.cache / self.folders[0]
        for remote in self.remotes:
            download(remote, folder, places)
        return folder

    def _read(self, folder: Path, name: str) -> IDX:
        path = _existing(folder, name)
        assert path is not None, "looked for before"
        idx = read_idx(path, 3 if "images" in name else 1)
        known = identify(idx.sha256)
        if known is not None and known != (self.name, name):
            raise DataError(
                f"{path} holds the bytes of {known[1]} of {known[0]}, where those of {name} of "
                f"{self.name} belong; files were renamed or swapped: put the right one there"
            )
        return idx

    def _examples(self, folder: Path, files: dict[str, IDX], inputs: str, targets: str) -> Examples:
        pixels, labels = files[inputs].values, files[targets].values
        if pixels.shape[1:] != (28, 28) or len(pixels) != len(labels):
            raise DataError(
                f"{folder}: {inputs} has shape {pixels.shape} and {targets} {len(labels)} labels; "
                f"there must be one label per image of 28x28: look whether files were swapped"
            )
        if labels.max() >= len(self.classes):
            raise DataError(
                f"{folder}: {targets} holds the label {labels.max()}, labels go from 0 to "
                f"{len(self.classes) - 1}; replace it by an undamaged copy"
            )
        return Examples(torch.tensor(pixels).unsqueeze(1), torch.tensor(labels))


@final
@dataclass(frozen=True)
class MNIST(FourFiles):
    """Handwritten digits: 60,000 train and 10,000 test images, (1, 28, 28), 10 classes.

    References:
        LeCun, Bottou, Bengio and Haffner, Gradient-based learning applied to document
        recognition, 1998.
    """

    name = "mnist"
    folders = ("mnist", "MNIST/raw", "MNIST")
    remotes = MNIST_FILES
    classes = tuple("0123456789")
    license = "CC BY-SA 3.0"
    citation = """@article{lecun1998gradient,
  author = {LeCun, Yann and Bottou, L{\\'e}on and Bengio, Yoshua and Haffner, Patrick},
  title = {Gradient-based learning applied to document recognition},
  journal = {Proceedings of the IEEE},
  volume = {86}, number = {11}, pages = {2278--2324}, year = {1998}
}"""


@final
@dataclass(frozen=True)
class FashionMNIST(FourFiles):
    """Articles of clothing: 60,000 train and 10,000 test images, (1, 28, 28), 10 classes.

    Debian ships it as the package `dataset-fashion-mnist`, which is found where it installs.

    References:
        Xiao, Rasul and Vollgraf, Fashion-MNIST, 2017, arXiv:1708.07747.
    """

    name = "fashion-mnist"
    folders = ("fashion-mnist", "FashionMNIST/raw", "FashionMNIST")
    remotes = FASHION_MNIST_FILES
    classes = (
        "T-shirt/top", "trouser", "pullover", "dress", "coat",
        "sandal", "shirt", "sneaker", "bag", "ankle boot",
    )  # fmt: skip
    license = "MIT"
    citation = """@misc{xiao2017fashion,
  author = {Xiao, Han and Rasul, Kashif and Vollgraf, Roland},
  title = {Fashion-{MNIST}: a novel image dataset for benchmarking machine learning algorithms},
  year = {2017}, eprint = {1708.07747}, archivePrefix = {arXiv}
}"""


def _existing(folder: Path, name: str) -> Path | None:
    """The file under any of its usual names: with a hyphen or a dot, plain or gzipped."""
    dotted = name.replace("-idx", ".idx")
    names = (name, f"{name}.gz", dotted, f"{dotted}.gz")
    return next((folder / n for n in names if is_file(folder / n)), None)
