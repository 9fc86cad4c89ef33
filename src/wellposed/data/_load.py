"""From a source to a dataset: split, fingerprint, standardize, in memory if it fits."""

from dataclasses import dataclass, replace
from math import isfinite, prod

import torch
from torch import Tensor

from wellposed.data._base import Raw, Source
from wellposed.data._dataset import Dataset
from wellposed.data._examples import Examples, Fingerprint
from wellposed.data._little_data import few, mislabeled
from wellposed.data._places import Places
from wellposed.data._seed import derived_seed
from wellposed.data._split import stratified_split
from wellposed.data._standardization import Moments, Standardization
from wellposed.data._store import unit
from wellposed.errors import ArgumentError, DataError, require


def load(  # noqa: PLR0913 - one argument per key of [data]
    source: Source,
    *,
    seed: int = 0,
    validation: float = 0.1,
    test: float = 0.2,
    examples: int | None = None,
    wrong_labels: float = 0.0,
    standardize: bool = True,
    places: Places | None = None,
    memory_budget: int = 2 * 2**30,
) -> Dataset:
    """Read a source, split it where parts are missing, and standardize it.

    Everything is read once, which finds damage before training begins. Parts that the source has
    are kept as they are.

    Args:
        source: Where the examples come from.
        seed: Of the split; the same seed gives the same parts.
        validation: Share of the source's train part to set aside for choosing, in [0, 1); 0 for
            no such part.
        test: Share of the source's train part to set aside for the final word, in [0, 1).
        examples: How many of what is left train, in the classes' shares; None for all.
        wrong_labels: Share of them, in [0, 1), that get the label of another class; the other
            parts keep theirs.
        standardize: Zero mean and unit deviation per channel, measured on the train part alone;
            without it inputs stay raw.
        places: Where to look; by default the usual places.
        memory_budget: Bytes. If all parts together need more as float32, examples are read from
            where they lie whenever a batch asks for them.
    """
    if not isinstance(source, Source):
        raise ArgumentError(
            f"load takes a source such as Digits() or MNIST(), found {source!r:.80}; "
            "wellposed.recipe.source(name) finds one by its name"
        )
    raw = _split(source.read(places or Places()), seed, validation, test)
    raw, changed = _train_on(raw, seed, examples, wrong_labels)
    size = 4 * prod(raw.train.shape) * sum(map(len, raw.parts.values()))
    keep = size <= memory_budget

    moments = Moments()
    parts = {
        name: _read(part, moments if name == "train" else None, keep, f"{raw.origin}: {name}")
        for name, part in raw.parts.items()
    }
    standardization = moments.standardization()
    if not standardize:
        standardization = Standardization.identity(len(standardization.mean))
    ready = {name: part.finish(standardization) for name, part in parts.items()}
    return Dataset(
        name=source.name
        + (" (not the published files)" if raw.published is False else "")
        + changed,
        classes=raw.classes,
        train=ready["train"],
        validation=ready.get("validation"),
        test=ready.get("test"),
        standardization=standardization,
        license=raw.license,
        citation=raw.citation,
        origin=raw.origin,
        input_range=parts["train"].input_range,
    )


def _split(raw: Raw, seed: int, validation: float, test: float) -> Raw:
    """The parts that are asked for and missing, taken from the train part."""
    for name, share in (("validation", validation), ("test", test)):
        require(0 <= share < 1, f"the {name} share must lie in [0, 1), got {share:g}")
    test = test if raw.test is None else 0.0
    validation = validation if raw.validation is None else 0.0
    require(
        validation + test < 1,
        f"shares of {validation:g} for validation and {test:g} for test leave nothing to train on",
    )
    if test:
        rest, part = stratified_split(raw.train.targets, test, derived_seed(seed, 0))
        raw = replace(raw, train=raw.train.select(rest), test=raw.train.select(part))
    if validation:
        share = validation / (1 - test)
        rest, part = stratified_split(raw.train.targets, share, derived_seed(seed, 1))
        raw = replace(raw, train=raw.train.select(rest), validation=raw.train.select(part))
    return raw


def _train_on(raw: Raw, seed: int, examples: int | None, wrong: float) -> tuple[Raw, str]:
    """The train part as it was asked for, and what a report has to say about it."""
    train, said = raw.train, []
    if examples is not None:
        train = few(train, examples, derived_seed(seed, 2))
        said.append(f"{len(train):,} training examples")
    train = mislabeled(train, wrong, len(raw.classes), derived_seed(seed, 3))
    if wrong:
        said.append(f"{100 * wrong:g} % of the training labels wrong")
    return replace(raw, train=train), f" ({', '.join(said)})" if said else ""


@dataclass(frozen=True)
class _Part:
    """What one pass over a part leaves behind."""

    source: Examples
    sha256: str
    input_range: tuple[float, float]
    kept: Tensor | None

    def finish(self, standardization: Standardization) -> Examples:
        """The part, standardized: in memory if its inputs were kept, otherwise streamed."""
        targets = self.source.targets
        if self.kept is not None:
            inputs = standardization.apply_(self.kept)
            return Examples(inputs, targets, sha256=self.sha256)
        return self.source.standardized(standardization, self.sha256)


def _read(part: Examples, moments: Moments | None, keep: bool, label: str) -> _Part:  # noqa: FBT001
    fingerprint, at, lows, highs = Fingerprint(), 0, [], []
    kept = torch.empty((len(part), *part.shape)) if keep else None
    for chunk in part.chunks():
        fingerprint.add(chunk)
        values = unit(chunk)
        low, high = (0.0, 1.0) if chunk.dtype == torch.uint8 else _extremes(values)
        if not (isfinite(low) and isfinite(high)):
            row = at + int((~values.flatten(1).isfinite()).any(1).nonzero()[0, 0])
            raise DataError(
                f"{label} part: row {row} holds an input that is inf or nan; remove such rows or "
                f"replace the value"
            )
        lows.append(low)
        highs.append(high)
        if moments is not None:
            moments.add(values)
        if kept is not None:
            kept[at : at + len(values)] = values
        at += len(values)
    return _Part(part, fingerprint.hexdigest(part.targets), (min(lows), max(highs)), kept)


def _extremes(values: Tensor) -> tuple[float, float]:
    low, high = torch.aminmax(values)
    return float(low), float(high)
