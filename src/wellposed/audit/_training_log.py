"""The log of a training as columns, whoever wrote it."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from scipy.special import stdtrit

from wellposed.audit._subject import Subject
from wellposed.errors import ArgumentError, require
from wellposed.losses import CrossEntropy

_NAMES = {
    "objective": ("objective", "loss", "train_loss"),
    "lr": ("lr", "learning_rate"),
    "gradient_norm": ("gradient_norm", "grad_norm"),
}
_APART = {
    "loss": ("validation_loss", "val_loss", "eval_loss"),
    "error": ("validation_error", "val_error", "eval_error"),
}
_FIGURE = 600


@final
@dataclass(frozen=True, slots=True)
class Column:
    """What was logged under one name.

    Args:
        step: Updates done at each record, never going down.
        value: As many; some may not be finite.
    """

    step: np.ndarray
    value: np.ndarray

    def __len__(self) -> int:
        return len(self.value)

    def few(self, most: int = _FIGURE) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Steps and values for a figure: of each stretch the least and the greatest."""
        keep = np.arange(len(self))
        if len(self) > most:
            value = np.where(np.isfinite(self.value), self.value, np.inf)
            parts = np.array_split(keep, most // 2)
            ends = [(p[np.argmin(value[p])], p[np.argmax(value[p])]) for p in parts]
            keep = np.unique(ends)
        return tuple(self.step[keep].tolist()), tuple(self.value[keep].tolist())


@final
@dataclass(frozen=True, slots=True)
class TrainingLog:
    """The log of a training.

    Args:
        train: "objective", "lr" and "gradient_norm", as far as they were logged.
        validation: "loss", "error" and "n" at every evaluation of one part kept apart.
        part: Which part that is; empty if there is none.
    """

    train: Mapping[str, Column]
    validation: Mapping[str, Column]
    part: str

    def column(self, name: str, check: str, least: int) -> Column:
        """A column of the training records with at least so many of them, all finite.

        Raises:
            ArgumentError: If there are fewer, or one is not finite.
        """
        found = self.train.get(name)
        n = 0 if found is None else len(found)
        if found is None or n < least:
            raise ArgumentError(
                f"{check} needs at least {least} records with {' or '.join(_NAMES[name])}, and the "
                f"log has {n}; log more often: [train] log_every"
            )
        wrong = int((~np.isfinite(found.value)).sum())
        require(
            wrong == 0,
            f"{check} needs finite records, and {wrong} of {n} with {name} are not; see what the "
            "check divergence found",
        )
        return found


def training_log(subject: Subject, check: str) -> TrainingLog:
    """The log of the subject, read once.

    Records are mappings with "step" and numbers, as in a run's log.jsonl; inf and nan may be words.

    Raises `ArgumentError` if there is none.
    """
    require(
        bool(subject.log),
        f"{check} reads the log of training, and this subject has none; audit a run's "
        'folder, or give log=[{"step": 1, "loss": 2.3, "lr": 0.1, "gradient_norm": 1.0}, ...]',
    )
    found: TrainingLog = subject.cached("training log", lambda: _read(subject.log or []))
    return found


def number(value: Any) -> float | None:
    """A number, or a word for one that is not finite; None for anything else."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, str) and value not in {"nan", "inf", "-inf"}:
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def guess_loss(subject: Subject) -> float | None:
    """Ln C, the cross-entropy of equal probabilities; None for another loss, or no classifier."""
    if not subject.classes or not isinstance(subject.loss, CrossEntropy):
        return None
    return math.log(len(subject.classes))


def block_means(values: np.ndarray, blocks: int) -> np.ndarray:
    """Means of at most so many stretches of equal length."""
    parts = np.array_split(values, max(1, min(blocks, len(values))))
    return np.array([part.mean() for part in parts])


def slope(x: np.ndarray, y: np.ndarray, level: float) -> tuple[float, float, float]:
    """The slope of the line of least squares, with the ends of its t-interval.

    Args:
        x: At least three abscissas, not all the same.
        y: As many finite ordinates.
        level: Confidence, in (0, 1).
    """
    at, of = x - x.mean(), y - y.mean()
    spread = float((at**2).sum())
    value = float((at * of).sum()) / spread
    rest = float(((of - value * at) ** 2).sum()) / (len(x) - 2)
    half = float(stdtrit(len(x) - 2, (1 + level) / 2)) * math.sqrt(rest / spread)
    return value, value - half, value + half


def _read(records: Sequence[Any]) -> TrainingLog:
    """Columns from records; what is no record is passed over."""
    train: dict[str, list[tuple[float, float]]] = {}
    apart: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for place, record in enumerate(records):
        if not isinstance(record, Mapping):
            continue
        step = number(record.get("step"))
        at = float(place) if step is None or not math.isfinite(step) else step
        if record.get("event") == "evaluation" or "split" in record:
            part = apart.setdefault(str(record.get("split", "validation")), {})
            _add(part, at, {name: record.get(name) for name in ("loss", "error", "n")})
            continue
        _add(train, at, {name: _first(record, names) for name, names in _NAMES.items()})
        flat = {name: _first(record, names) for name, names in _APART.items()}
        if any(value is not None for value in flat.values()):
            _add(apart.setdefault("validation", {}), at, flat)
    named = next((p for p in ("validation", "test", *apart) if p in apart and p != "train"), "")
    return TrainingLog(_columns(train), _columns(apart.get(named, {})), named)


def _first(record: Mapping[Any, Any], names: Iterable[str]) -> Any:
    return next((record[name] for name in names if name in record), None)


def _add(
    columns: dict[str, list[tuple[float, float]]], at: float, values: Mapping[str, Any]
) -> None:
    for name, value in values.items():
        found = number(value)
        if found is not None:
            columns.setdefault(name, []).append((at, found))


def _columns(pairs: Mapping[str, list[tuple[float, float]]]) -> dict[str, Column]:
    """Columns in ascending order of steps, each step's records in the order of the log."""
    return {
        name: Column(*(np.array(part) for part in zip(*sorted(found, key=_step), strict=True)))
        for name, found in pairs.items()
    }


def _step(pair: tuple[float, float]) -> float:
    return pair[0]
