"""A dataset: parts, classes, standardization, and what is known about its origin."""

from dataclasses import dataclass
from typing import Any, final

from wellposed.data._examples import Examples
from wellposed.data._standardization import Standardization


@final
@dataclass(frozen=True)
class Dataset:
    """Examples that are ready for training, and everything a report says about them.

    Args:
        name: What reports call it.
        classes: Names; targets are positions in this tuple.
        train: Standardized examples for training.
        validation: For choosing; None if there is no such part.
        test: For the final word; None if there is no such part.
        standardization: Measured on `train` alone; the identity if switched off.
        license: Terms of use, in a few words.
        citation: BibTeX, or empty.
        origin: Where the bytes came from.
        input_range: Least and greatest raw value an input may take.
    """

    name: str
    classes: tuple[str, ...]
    train: Examples
    validation: Examples | None
    test: Examples | None
    standardization: Standardization
    license: str = "not stated"
    citation: str = ""
    origin: str = "given by the caller"
    input_range: tuple[float, float] = (0.0, 1.0)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one input, for images (channels, height, width)."""
        return self.train.shape

    @property
    def num_classes(self) -> int:
        """How many classes there are."""
        return len(self.classes)

    @property
    def parts(self) -> dict[str, Examples]:
        """The parts that exist, by name: "train", "validation", "test"."""
        every = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: part for name, part in every.items() if part is not None}

    def describe(self) -> dict[str, Any]:
        """Everything but the examples, ready for JSON: the content of a run's `data.json`."""
        every = {"train": self.train, "validation": self.validation, "test": self.test}
        return {
            "name": self.name,
            "license": self.license,
            "source": self.origin,
            "citation": self.citation,
            "classes": list(self.classes),
            "shape": list(self.shape),
            "parts": {
                name: None if part is None else {"n": len(part), "sha256": part.sha256}
                for name, part in every.items()
            },
            "standardization": self.standardization.to_dict(),
            "input_range": list(self.input_range),
        }
