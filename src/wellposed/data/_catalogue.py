"""What datasets there are, where they are, and whether they are sound."""

from dataclasses import asdict, dataclass
from typing import Any, final

import torch

from wellposed.data._base import Downloadable, Source
from wellposed.data._cifar10 import CIFAR10
from wellposed.data._digits import Digits
from wellposed.data._mnist import MNIST, FashionMNIST
from wellposed.data._places import Places
from wellposed.data._toys import XOR, Circles, Peaks, Spirals, SwissRoll
from wellposed.errors import ArgumentError, UnknownNameError

NAMED: tuple[type[Source], ...] = (
    Digits, MNIST, FashionMNIST, CIFAR10, XOR, Circles, Peaks, Spirals, SwissRoll,
)  # fmt: skip
"""The sources that need no arguments, in the order in which they are listed."""


def available(places: Places | None = None) -> list[tuple[str, str | None]]:
    """(name, where it was found or None) of every named dataset; nothing is read or downloaded."""
    places = places or Places()
    return [(kind.name, kind().find(places)) for kind in NAMED]


def fetch(name: str, places: Places | None = None) -> str:
    """Make a named dataset available and say where it is; what is found is not fetched again.

    Args:
        name: As `available` lists it.
        places: Where to look, and whether downloads are allowed.

    Raises:
        UnknownNameError: If no dataset has this name.
        ArgumentError: If there is nothing to fetch.
    """
    kinds = {kind.name: kind for kind in NAMED}
    if name not in kinds:
        raise UnknownNameError("dataset", name, kinds)
    source, places = kinds[name](), places or Places()
    if isinstance(source, Downloadable):
        return source.fetch(places)
    raise ArgumentError(f"{name} needs no download: {source.find(places)}; just use it")


@final
@dataclass(frozen=True)
class PartReport:
    """One part of a dataset.

    Args:
        n: How many examples it has.
        classes: Examples per class, in the order of the classes.
        sha256: Fingerprint of its raw inputs and targets.
    """

    n: int
    classes: tuple[int, ...]
    sha256: str


@final
@dataclass(frozen=True)
class SourceReport:
    """What reading a source completely has shown.

    Args:
        name: Of the source.
        origin: Where the bytes came from.
        published: Whether they are the published ones; None where nothing is published.
        license: Terms of use.
        classes: Their names.
        shape: Of one input.
        parts: By name.
    """

    name: str
    origin: str
    published: bool | None
    license: str
    classes: tuple[str, ...]
    shape: tuple[int, ...]
    parts: dict[str, PartReport]

    def to_dict(self) -> dict[str, Any]:
        """The same, ready for JSON."""
        return asdict(self)


def check(source: Source, places: Places | None = None) -> SourceReport:
    """Read every byte of a source and report counts, balance and fingerprints.

    Args:
        source: What to read.
        places: Where to look.
    """
    raw = source.read(places or Places())
    count = len(raw.classes)
    parts = {
        name: PartReport(
            n=len(part),
            classes=tuple(torch.bincount(part.targets, minlength=count).tolist()),
            sha256=part.sha256,
        )
        for name, part in raw.parts.items()
    }
    return SourceReport(
        name=source.name,
        origin=raw.origin,
        published=raw.published,
        license=raw.license,
        classes=raw.classes,
        shape=raw.train.shape,
        parts=parts,
    )
