"""What every source of data is, and what it gives."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, final

from wellposed.data._examples import Examples
from wellposed.data._places import Places
from wellposed.errors import DataError


@final
@dataclass(frozen=True)
class Raw:
    """What a source gives: raw examples in the parts it has, and what is known about them.

    Args:
        train: For training; split further by `load` where a part is missing.
        classes: Their names; targets are positions in this tuple.
        validation: For choosing, if the source has such a part.
        test: For the final word, if the source has such a part.
        license: Terms of use, in a few words.
        citation: BibTeX, or empty.
        origin: Where the bytes came from: a path, a package, a generator.
        published: Whether the bytes are the published ones by checksum; None where nothing is
            published to compare with.
    """

    train: Examples
    classes: tuple[str, ...]
    validation: Examples | None = None
    test: Examples | None = None
    license: str = "not stated"
    citation: str = ""
    origin: str = "given by the caller"
    published: bool | None = None

    def __post_init__(self) -> None:
        for name, part in self.parts.items():
            if part.shape != self.train.shape:
                raise DataError(
                    f"{self.origin}: inputs of the {name} part have shape {part.shape}, those of "
                    f"the train part {self.train.shape}; they must agree"
                )
            low, high = int(part.targets.min()), int(part.targets.max())
            if low < 0 or high >= len(self.classes):
                raise DataError(
                    f"{self.origin}: the {name} part has class number "
                    f"{low if low < 0 else high}; with {len(self.classes)} classes they go from "
                    f"0 to {len(self.classes) - 1}"
                )

    @property
    def parts(self) -> dict[str, Examples]:
        """The parts that exist, by name: "train", "validation", "test"."""
        every = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: part for name, part in every.items() if part is not None}


class Source(ABC):
    """Where examples come from. A subclass is a frozen dataclass whose fields are its settings."""

    name: ClassVar[str]
    """What recipes and reports call it."""

    @abstractmethod
    def find(self, places: Places) -> str | None:
        """Where `read` would take the data from without a download, or None."""

    @abstractmethod
    def read(self, places: Places) -> Raw:
        """Read everything, checking every byte that is used.

        Raises `DataError` if the data is missing, damaged or hostile.
        """


class Downloadable(Source):
    """A source that somebody publishes."""

    @abstractmethod
    def fetch(self, places: Places) -> str:
        """Where the data lies, downloading what no place has; files that are there stay."""
