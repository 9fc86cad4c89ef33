"""The log of a run as curves, thinned to what a page can show."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np

from wellposed.errors import RunFolderError
from wellposed.runs import RunFolder

_DIAGNOSTICS, _CURVES, _POINTS = 12, 40, 8000


@final
@dataclass(frozen=True, slots=True)
class Curve:
    """Ordinates over gradient evaluations.

    Args:
        x: Gradient evaluations.
        y: As many values; some may not be finite.
    """

    x: tuple[float, ...]
    y: tuple[float, ...]

    @property
    def finite(self) -> list[float]:
        """The finite ordinates."""
        return [y for y in self.y if math.isfinite(y)]


@final
@dataclass(frozen=True, slots=True)
class History:
    """What the log of a run says.

    Args:
        curves: By name: "objective", "error train", "error validation", "lr", "gradient_norm", and
            "optimizer gamma" for what an optimizer tells about itself, and "lambda_min".
        step: Last step on record, or None.
        epoch: Last epoch on record, or None.
    """

    curves: dict[str, Curve] = field(default_factory=dict)
    step: float | None = None
    epoch: float | None = None


def read_history(folder: RunFolder, gaps: list[str], *, most: int = 400) -> History:
    """The log of a run as curves of at most about `most` points; damage is added to `gaps`."""
    points: dict[str, list[tuple[float, float]]] = {}
    last: dict[str, float | None] = {"step": None, "epoch": None}
    try:
        for record in folder.log:
            at = _number(record.get("gradients", record.get("step")))
            if at is None or not math.isfinite(at):
                continue
            last |= {key: _number(record.get(key)) for key in last}
            for name, value in _values(record):
                _add(points, name, (at, value))
    except RunFolderError as error:
        gaps.append(f"{error}; the curves end before it.")
    curves = {name: thin(_curve(pairs), most) for name, pairs in points.items()}
    if not curves:
        gaps.append("log.jsonl holds no records, so there are no curves.")
    return History(curves, last["step"], last["epoch"])


def thin(curve: Curve, most: int) -> Curve:
    """A curve with at most about `most` points, whose peaks and valleys are still there.

    Of each stretch the smallest and the largest value are kept, and one gap if there are gaps.
    """
    if len(curve.x) <= most:
        return curve
    y = np.array(curve.y)
    finite = np.isfinite(y)
    keep = {0, len(y) - 1}
    for stretch in np.array_split(np.arange(len(y)), max(1, most // 2)):
        drawn, gaps = stretch[finite[stretch]], stretch[~finite[stretch]]
        keep |= {int(k) for k in gaps[:1]}
        if len(drawn):
            keep |= {int(drawn[np.argmin(y[drawn])]), int(drawn[np.argmax(y[drawn])])}
    chosen = sorted(keep)
    return Curve(tuple(curve.x[k] for k in chosen), tuple(curve.y[k] for k in chosen))


def smooth(curve: Curve, most: int = 60) -> Curve:
    """Means over at most `most` equal stretches of the abscissa, where there are more points.

    A mean is drawn in the middle of its points; what is not finite does not count.
    """
    x, y = (np.array(values) for values in _finite(curve))
    if len(x) <= most:
        return curve
    stretch = np.minimum((x - x[0]) / max(x[-1] - x[0], 1e-300) * most, most - 1).astype(int)
    count = np.maximum(np.bincount(stretch, minlength=most), 1)
    x, y = (np.bincount(stretch, weights=v, minlength=most) / count for v in (x, y))
    there = np.unique(stretch)
    return Curve(tuple(map(float, x[there])), tuple(map(float, y[there])))


def mean_curve(curves: Sequence[Curve]) -> Curve | None:
    """The mean of several curves where all of them are known; None if that is nowhere."""
    usable = [
        (np.array(x), np.array(y)) for x, y in (_finite(curve) for curve in curves) if len(x) > 0
    ]
    if not usable:
        return None
    low, high = max(x[0] for x, _ in usable), min(x[-1] for x, _ in usable)
    grid = [float(x) for x in usable[0][0] if low <= x <= high]
    if not grid:
        return None
    means = np.mean([np.interp(grid, x, y) for x, y in usable], axis=0)
    return Curve(tuple(grid), tuple(float(mean) for mean in means))


def _add(
    points: dict[str, list[tuple[float, float]]], name: str, point: tuple[float, float]
) -> None:
    """Add a point to a curve, in bounded memory."""
    if name not in points and len(points) >= _CURVES:
        return
    pairs = points.setdefault(name, [])
    pairs.append(point)
    if len(pairs) > _POINTS:
        thinned = thin(_curve(pairs), _POINTS // 4)
        pairs[:] = zip(thinned.x, thinned.y, strict=True)


def _curve(pairs: list[tuple[float, float]]) -> Curve:
    """Points as a curve."""
    return Curve(tuple(x for x, _ in pairs), tuple(y for _, y in pairs))


def _values(record: dict[str, Any]) -> Iterable[tuple[str, float]]:
    """The numbers of a record that have a curve, by name."""
    yield from _numbers([("lambda_min", record.get("lambda_min"))])
    if record.get("event") == "train":
        names = {
            "objective": "objective",
            "loss": "loss",
            "penalty": "penalty",
            "error": "error train",
            "lr": "lr",
            "gradient_norm": "gradient_norm",
        }
        yield from _numbers((names[key], record.get(key)) for key in names)
        told = record.get("optimizer")
        if isinstance(told, dict):
            told = list(told.items())[:_DIAGNOSTICS]
            yield from _numbers((f"optimizer {key[:40]}", value) for key, value in told)
    elif record.get("event") == "evaluation":
        split = str(record.get("split"))[:40]
        yield from _numbers(
            (f"{key} {split}", record.get(key)) for key in ("error", "loss", "top5_error")
        )


def _numbers(pairs: Iterable[tuple[str, Any]]) -> Iterable[tuple[str, float]]:
    """Those pairs whose value is a number."""
    for name, value in pairs:
        number = _number(value)
        if number is not None:
            yield name, number


def _number(value: Any) -> float | None:
    """A number, or None if it is something else; True is something else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def _finite(curve: Curve) -> tuple[list[float], list[float]]:
    """The points of a curve that can be drawn."""
    pairs = [(x, y) for x, y in zip(curve.x, curve.y, strict=True) if math.isfinite(y)]
    return [x for x, _ in pairs], [y for _, y in pairs]
