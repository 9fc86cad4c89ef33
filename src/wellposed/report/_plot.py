"""Curves as data, drawn: lines, points, bands of intervals and lines of reference."""

import math
from collections.abc import Callable, Sequence

from markupsafe import Markup

from wellposed.report._axis import Axis, linear, logarithmic, number_name, percent_name
from wellposed.report._curves import Curve, thin
from wellposed.report._figures import (
    BOTTOM,
    LEFT,
    Line,
    apart,
    curve_path,
    drawing,
    grid,
    marker,
    word,
)
from wellposed.report._palette import tone
from wellposed.report._sentences import percent, plain, shorten
from wellposed.runs import Curves, Mark, Series

WIDTH, HEIGHT = 360, 250
_TOP, _RIGHT, _POINTS, _MANY = 30, 12, 400, 80
_HUGE = 1e200  # beyond it, ranges overflow
Place = Callable[[float], float]


def curves_plot(figure: Curves) -> Markup:
    """The figure as SVG: marks behind, then bands, then lines and points.

    Args:
        figure: Whose series have as many ordinates as abscissas.
    """
    series = [_tamed(item) for item in figure.series]
    marks = [m for m in figure.marks if math.isfinite(m.value) and abs(m.value) < _HUGE]
    x_axis, y_axis = _axes(figure, series, marks)
    right, bottom = WIDTH - _RIGHT, HEIGHT - BOTTOM

    def across(value: float) -> float:
        return LEFT + x_axis.position(value) * (right - LEFT)

    def down(value: float) -> float:
        return bottom - y_axis.position(value) * (bottom - _TOP)

    parts = [grid(x_axis, y_axis, across, down, right, bottom)]
    parts.append(word(0, 14, shorten(figure.y_label, 52), "axis"))
    parts.append(word((LEFT + right) / 2, HEIGHT - 6, shorten(figure.x_label, 48), "axis middle"))
    order = sorted(enumerate(series), key=lambda item: not item[1].faint)
    parts += [_band(item, k, across, down) for k, item in order]
    parts += [_drawn(item, k, across, down) for k, item in order]
    parts.append(_marks(marks, across, down, right, bottom))
    return drawing(figure.heading, said(figure), WIDTH, HEIGHT, parts)


def said(figure: Curves) -> str:
    """The figure for those who do not see it: first, last, least and greatest of each series."""
    name: Callable[[float], str] = percent if figure.percent else plain
    parts = []
    for item in figure.series[:12]:
        finite = [y for y in item.y if math.isfinite(y)]
        if finite and not item.faint:
            parts.append(
                f"{shorten(item.name, 40)} from {name(finite[0])} to {name(finite[-1])}, "
                f"between {name(min(finite))} and {name(max(finite))}".strip()
            )
    parts += [
        f"{shorten(m.name, 40)} at {plain(m.value)}" for m in figure.marks[:12] if _seen(m.value)
    ]
    return "; ".join(parts)


def _tamed(item: Series) -> Series:
    """A series of few points, whose numbers do not overflow."""
    kept = thin(Curve(tuple(map(float, range(len(item.y)))), item.y), _POINTS).x
    chosen = [int(k) for k in kept]

    def few(values: tuple[float, ...] | None) -> tuple[float, ...] | None:
        return None if values is None else tuple(_clipped(values[k]) for k in chosen)

    x, y = few(item.x) or (), few(item.y) or ()
    return Series(item.name, x, y, few(item.low), few(item.high), item.faint, item.points)


def _clipped(value: float) -> float:
    """A number whose differences and ratios do not overflow; nan and inf stay what they are."""
    if not math.isfinite(value):
        return value
    if abs(value) < 1 / _HUGE:
        return 0.0
    return min(_HUGE, max(-_HUGE, value))


def _axes(figure: Curves, series: Sequence[Series], marks: Sequence[Mark]) -> tuple[Axis, Axis]:
    """The axes over everything drawn."""
    xs = [x for item in series for x in item.x]
    ys = [y for item in series for part in (item.y, item.low, item.high) for y in part or ()]
    for mark in marks:
        (xs if mark.axis == "x" else ys).append(mark.value)
    if figure.log_x and any(x > 0 for x in xs if math.isfinite(x)):
        x_axis = logarithmic(xs, name=number_name, most=5)
    else:
        x_axis = linear(xs, name=number_name, most=5)
    name = percent_name if figure.percent else number_name
    if figure.log_y and any(y > 0 for y in ys if math.isfinite(y)):
        return x_axis, logarithmic(ys, name=name, most=6)
    finite = [y for y in ys if math.isfinite(y)]
    zero = all(y >= 0 for y in finite) and min(finite, default=0) < 0.5 * max(finite, default=0)
    return x_axis, linear(ys, name=name, zero=zero, most=4)


def _drawn(item: Series, number: int, across: Place, down: Place) -> Markup:
    """The line of a series, or its points with their intervals."""
    if not item.points:
        return curve_path(Line(item.name, item.x, item.y, number, item.faint), across, down)
    places = [k for k, (x, y) in enumerate(zip(item.x, item.y, strict=True)) if _seen(x, y)]
    if item.faint or len(places) > _MANY:
        dot = Markup('<circle class="dot tone-{}" cx="{:.1f}" cy="{:.1f}" r="1.8"/>')
        return Markup("").join(
            dot.format(tone(number), across(item.x[k]), down(item.y[k])) for k in places
        )
    parts = []
    for k in places:
        x = across(item.x[k])
        if item.low is not None and item.high is not None and _seen(item.low[k], item.high[k]):
            parts.append(
                Markup('<path class="whisker tone-{}" d="M{:.1f} {:.1f}V{:.1f}"/>').format(
                    tone(number), x, down(item.low[k]), down(item.high[k])
                )
            )
        parts.append(marker(number, x, down(item.y[k])))
    return Markup("").join(parts)


def _band(item: Series, number: int, across: Place, down: Place) -> Markup:
    """The intervals of a line as an area, interrupted where an end is not finite."""
    if item.points or item.low is None or item.high is None:
        return Markup("")
    runs: list[list[int]] = [[]]
    for k, (low, high) in enumerate(zip(item.low, item.high, strict=True)):
        if _seen(low, high) and math.isfinite(item.x[k]):
            runs[-1].append(k)
        elif runs[-1]:
            runs.append([])
    pieces = []
    for run in runs:
        ends = [(k, item.high[k]) for k in run] + [(k, item.low[k]) for k in reversed(run)]
        pieces += [f"{'L' if n else 'M'}{across(item.x[k]):.1f} {down(y):.1f}"
                   for n, (k, y) in enumerate(ends)] + ["Z"] * bool(ends)  # fmt: skip
    return Markup('<path class="band tone-{}" d="{}"/>').format(tone(number), "".join(pieces))


def _marks(
    marks: Sequence[Mark], across: Place, down: Place, right: float, bottom: float
) -> Markup:
    """Lines of reference with their names, moved apart where they would overlap."""
    line = Markup('<path class="mark" d="M{:.1f} {:.1f}{}{:.1f}"/>')
    lines, words = [], []
    level = sorted((m for m in marks if m.axis == "y"), key=lambda m: down(m.value))
    heights = apart([down(m.value) - 5 for m in level], 14.0, _TOP + 10, bottom - 4)
    for mark, height in zip(level, heights, strict=True):
        lines.append(line.format(LEFT, down(mark.value), "H", right))
        words.append(word(right - 2, height, shorten(mark.name, 34), "note end halo"))
    upright = sorted((m for m in marks if m.axis != "y"), key=lambda m: across(m.value))
    for number, mark in enumerate(upright):
        x = across(mark.value)
        late = x > (LEFT + right) / 2
        look, aside = ("note end halo", x - 5) if late else ("note halo", x + 5)
        lines.append(line.format(x, _TOP, "V", bottom))
        words.append(word(aside, _TOP + 11 + 14 * (number % 6), shorten(mark.name, 30), look))
    return Markup("").join([*lines, *words])


def _seen(*values: float) -> bool:
    """Whether all of them are finite."""
    return all(map(math.isfinite, values))
