"""Axes: where a value is drawn, and which round values are named."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import final

from wellposed.report._sentences import power_of_ten


@final
@dataclass(frozen=True, slots=True)
class Axis:
    """A scale from `low` to `high`, linear or logarithmic, with its named values.

    Args:
        low: Value at position 0.
        high: Value at position 1; above `low`.
        log: Whether equal ratios take equal room; then `low` > 0.
        ticks: The named values with their names, from low to high.
    """

    low: float
    high: float
    log: bool
    ticks: tuple[tuple[float, str], ...]

    def position(self, value: float) -> float:
        """Where `value` is drawn, 0 at `low` and 1 at `high`; what is outside lies at the edge."""
        low, high = self.low, self.high
        if self.log:
            value, low, high = math.log(max(value, low)), math.log(low), math.log(high)
        return min(1.0, max(0.0, (value - low) / (high - low)))


def linear(
    values: Iterable[float],
    *,
    name: Callable[[float], str],
    zero: bool = False,
    most: int = 5,
) -> Axis:
    """A linear axis over the finite values, with at most `most` + 1 round ticks.

    Args:
        values: What will be drawn.
        name: Writes a tick.
        zero: Whether the axis begins at 0.
        most: About how many steps between ticks there may be.
    """
    low, high = _range(values)
    if zero:
        low = min(0.0, low)
    if low == high:
        pad = abs(low) / 2 or 0.5
        low, high = (low if zero else low - pad), high + pad
    ticks = _multiples(low, high, _round_step((high - low) / most))
    names = [name(tick) for tick in ticks]
    if len(set(names)) < len(names):  # they differ in digits that are not written
        names = [f"{ticks[0]:.10g}", *(f"+{tick - ticks[0]:.3g}" for tick in ticks[1:])]
    return Axis(low, high, log=False, ticks=tuple(zip(ticks, names, strict=True)))


def logarithmic(values: Iterable[float], *, name: Callable[[float], str], most: int = 6) -> Axis:
    """A logarithmic axis over the positive finite values, with at most `most` ticks.

    Where a power of ten, its double and its half would name fewer than three values, ticks are
    equally far apart in value instead.

    Args:
        values: What will be drawn; at least one is positive.
        name: Writes a tick.
        most: How many ticks there may be.
    """
    low, high = _range(value for value in values if value > 0)
    low, high = low / 1.15, high * 1.15
    every = _decades(low, high, (1,))
    choices = [_decades(low, high, mantissas) for mantissas in ((1, 2, 5), (1, 3))]
    few = every[:: max(1, math.ceil(len(every) / most))]
    ticks = next((ticks for ticks in choices if len(ticks) <= most), few)
    if len(ticks) < 3:
        ticks = _multiples(low, high, _round_step((high - low) / 5))
    return Axis(low, high, log=True, ticks=tuple((tick, name(tick)) for tick in ticks))


def wants_log(values: Iterable[float], ratio: float = 20.0) -> bool:
    """Whether no value is negative, and a linear axis would hide the small ones."""
    finite = [value for value in values if math.isfinite(value)]
    positive = [value for value in finite if value > 0]
    return bool(positive) and min(finite) >= 0 and max(positive) / min(positive) >= ratio


def number_name(value: float) -> str:
    """A tick: "0", "0.05", "1.5k", "2M", "10\u207b\u2075"."""
    if value == 0:
        return "0"
    size = abs(value)
    if size < 1e-3 or size >= 1e9:
        return power_of_ten(value)
    for limit, unit in ((1e6, "M"), (1e3, "k")):
        if size >= limit:
            return f"{value / limit:.4g}{unit}".replace("-", "\u2212")
    return f"{value:.6g}".replace("-", "\u2212")


def percent_name(value: float) -> str:
    """A tick of an axis of fractions: "5%"."""
    return f"{100 * value:.6g}%".replace("-", "\u2212")


def _range(values: Iterable[float]) -> tuple[float, float]:
    """Smallest and largest finite value."""
    finite = [value for value in values if math.isfinite(value)]
    return (min(finite), max(finite)) if finite else (0.0, 1.0)


def _round_step(step: float) -> float:
    """The next 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= step * (1 - 1e-9))


def _multiples(low: float, high: float, step: float) -> list[float]:
    """All multiples of a step between low and high."""
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    places = 12 - math.floor(math.log10(step))
    return [round(k * step, places) + 0.0 for k in range(first, last + 1)]


def _decades(low: float, high: float, mantissas: tuple[int, ...]) -> list[float]:
    """Mantissas times powers of ten between low and high."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [float(f"{m}e{power}") for power in powers for m in mantissas]
    return [tick for tick in ticks if low <= tick <= high]
