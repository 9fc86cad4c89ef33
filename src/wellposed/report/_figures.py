"""Figures as inline SVG: curves, and dots with their intervals.

Colors come from the page's style sheet, so a figure follows light, dark and print. Every figure has
a title and a description for those who do not see it.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import final

from markupsafe import Markup

from wellposed.report._axis import Axis, linear, logarithmic, number_name, percent_name
from wellposed.report._palette import TONES, tone
from wellposed.report._sentences import SPACE, percent, percent_interval, percent_places, shorten

_TOP, LEFT, BOTTOM = 10, 46, 40
_LEAST = 1e-3  # on a logarithmic scale, errors below 0.1 % lie on the lower edge
_LETTER = 7.9  # width of a letter of a label, on average
_SWATCH = Markup(
    '<svg class="swatch" viewBox="0 0 34 14" width="34" height="14" aria-hidden="true">{}{}</svg>'
)


@final
@dataclass(frozen=True, slots=True)
class Line:
    """One curve.

    Args:
        name: Written at its end; "" for none.
        x: Abscissas, going up.
        y: Ordinates, as many; what is not finite is left out and interrupts the curve.
        series: Decides color, dash and marker.
        faint: Whether it is background, such as one seed of several.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    series: int = 0
    faint: bool = False


@final
@dataclass(frozen=True, slots=True)
class Frame:
    """What a chart of curves is called, and how its axes are.

    Args:
        title: Names it, for those who do not see it.
        description: What is to be seen, for those who do not see it.
        x_name: What the abscissa is.
        x_log: Whether the abscissa is logarithmic; then all abscissas are positive.
        percent: Whether ordinates are fractions, named in percent.
        log: Whether the ordinate is logarithmic; what is not positive lies on the lower edge.
        width: In CSS pixels at its natural size.
        height: In CSS pixels at its natural size.
    """

    title: str
    description: str
    x_name: str = "gradient evaluations"
    x_log: bool = False
    percent: bool = False
    log: bool = False
    width: int = 360
    height: int = 220


@final
@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with its interval, and what it is the mean of.

    Args:
        name: Whose it is.
        values: The single values, fractions.
        mean: Their mean.
        interval: Its interval, or None.
        series: Decides color and marker.
    """

    name: str
    values: Sequence[float]
    mean: float
    interval: tuple[float, float] | None
    series: int = 0


def line_chart(frame: Frame, lines: Sequence[Line]) -> Markup:
    """Curves over a common abscissa, each with its name at its end."""
    abscissas = [x for line in lines for x in line.x]
    if frame.x_log and abscissas:
        x_axis = logarithmic(abscissas, name=number_name, most=frame.width // 70)
    else:
        x_axis = linear(abscissas, name=number_name, most=4)
    y_axis = _ordinate(frame, [y for line in lines for y in line.y])
    named = [line for line in lines if line.name and not line.faint]
    room = min(136.0, max([14.0, *(_LETTER * len(_label(line)) + 16 for line in named)]))
    right, bottom = frame.width - room, frame.height - BOTTOM

    def across(value: float) -> float:
        return LEFT + x_axis.position(value) * (right - LEFT)

    def down(value: float) -> float:
        return bottom - y_axis.position(value) * (bottom - _TOP)

    parts = [grid(x_axis, y_axis, across, down, right, bottom)]
    parts.append(word((LEFT + right) / 2, frame.height - 6, frame.x_name, "axis middle"))
    parts += [
        curve_path(line, across, down) for line in sorted(lines, key=lambda line: not line.faint)
    ]
    parts.append(_end_labels(named, across, down, bottom))
    return drawing(frame.title, frame.description, frame.width, frame.height, parts)


def interval_chart(title: str, estimates: Sequence[Estimate], *, width: int = 360) -> Markup:
    """One row per estimate: its values as rings, its mean as a marker, its interval as a bar."""
    row, left, right = 46, 8, width - 14
    bottom = len(estimates) * row + 8
    everything = [v for e in estimates for v in (*e.values, e.mean, *(e.interval or ()))]
    axis = linear([max(v, 0.0) for v in everything], name=percent_name, most=max(3, width // 110))

    def across(value: float) -> float:
        return left + 6 + axis.position(value) * (right - left - 6)

    parts = [
        Markup('<line class="grid" x1="{0:.1f}" y1="4" x2="{0:.1f}" y2="{1}"/>').format(
            across(tick), bottom
        )
        for tick, _ in axis.ticks
    ]
    parts += [word(across(t), bottom + 16, name, "tick middle") for t, name in axis.ticks]
    places = round(median([percent_places(e.interval) for e in estimates] or [1]))
    said = [_measured(estimate, places) for estimate in estimates]
    for number, estimate in enumerate(estimates):
        y = number * row + 20
        parts.append(word(right, y, said[number], "label end"))
        parts.append(_estimate(estimate, across, y, left))
    names = [estimate.name for estimate in estimates]
    description = "; ".join(f"{name} {text}" for name, text in zip(names, said, strict=True))
    return drawing(title, description, width, bottom + 24, parts)


def swatch(series: int, *, line: bool = True) -> Markup:
    """A short piece of a series' line with its marker, for a legend; it says nothing by itself.

    Args:
        series: Decides color, dash and marker.
        line: Whether there is a line, or the marker alone.
    """
    drawn = marker(series, 17, 7)
    if not line:
        return _SWATCH.format(Markup(""), drawn)
    stroke = Markup('<path class="line tone-{}" d="M2 7H32" stroke-dasharray="{}"/>').format(
        tone(series), TONES[tone(series)].dash
    )
    return _SWATCH.format(stroke, drawn)


def _ordinate(frame: Frame, values: list[float]) -> Axis:
    """The vertical axis of a chart."""
    name: Callable[[float], str] = percent_name if frame.percent else number_name
    if frame.log and any(value > 0 and math.isfinite(value) for value in values):
        if frame.percent:
            values = [max(value, _LEAST) for value in values]
        return logarithmic(values, name=name, most=frame.height // 36)
    return linear(values, name=name, zero=all(v >= 0 for v in values if math.isfinite(v)), most=4)


def grid(
    x_axis: Axis,
    y_axis: Axis,
    across: Callable[[float], float],
    down: Callable[[float], float],
    right: float,
    bottom: float,
) -> Markup:
    """Thin lines at the named values, and their names."""
    parts = []
    for value, name in y_axis.ticks:
        y = down(value)
        parts.append(
            Markup('<line class="grid" x1="{}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>').format(
                LEFT, y, right, y
            )
        )
        parts.append(word(LEFT - 6, y + 4, name, "tick end"))
    for value, name in x_axis.ticks:
        parts.append(word(across(value), bottom + 17, name, "tick middle"))
        parts.append(
            Markup(
                '<line class="grid" x1="{0:.1f}" y1="{1:.1f}" x2="{0:.1f}" y2="{2:.1f}"/>'
            ).format(across(value), bottom, bottom + 4)
        )
    return Markup("").join(parts)


def curve_path(
    line: Line, across: Callable[[float], float], down: Callable[[float], float]
) -> Markup:
    """The path of one curve; a curve of a single point is a marker."""
    pieces, pen = [], "M"
    drawn = [(x, y) for x, y in zip(line.x, line.y, strict=True) if math.isfinite(x)]
    for x, y in drawn:
        if not math.isfinite(y):
            pen = "M"
            continue
        pieces.append(f"{pen}{across(x):.1f} {down(y):.1f}")
        pen = "L"
    look = f"line tone-{tone(line.series)}" + (" faint" if line.faint else "")
    path = Markup('<path class="{}" d="{}" stroke-dasharray="{}"/>').format(
        look, "".join(pieces), "" if line.faint else TONES[tone(line.series)].dash
    )
    finite = [(x, y) for x, y in drawn if math.isfinite(y)]
    if line.faint or not finite:
        return path if pieces else Markup("")
    return path + marker(line.series, across(finite[-1][0]), down(finite[-1][1]))


def _end_labels(
    lines: Sequence[Line],
    across: Callable[[float], float],
    down: Callable[[float], float],
    bottom: float,
) -> Markup:
    """The names at the ends of the curves, moved apart where they would overlap."""
    ends = []
    for line in lines:
        finite = [(x, y) for x, y in zip(line.x, line.y, strict=True) if math.isfinite(y)]
        if finite:
            ends.append((down(finite[-1][1]), across(finite[-1][0]), line))
    ends.sort(key=lambda end: end[0])
    heights = apart([end[0] for end in ends], 14.0, _TOP, bottom)
    at = max((end[1] for end in ends), default=0.0)
    return Markup("").join(
        word(at + 9, height + 4, _label(line), f"label tone-{tone(line.series)}")
        for height, (_, _, line) in zip(heights, ends, strict=True)
    )


def apart(heights: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Heights, ascending, moved as little as needed to be `gap` apart and, if they fit, inside.

    Args:
        heights: Where labels would be, ascending.
        gap: How far apart they must be, in the same unit.
        low: Smallest height allowed.
        high: Largest height allowed.
    """
    placed: list[float] = []
    for height in heights:
        placed.append(max(height, placed[-1] + gap if placed else low))
    ceiling = high
    for k in range(len(placed) - 1, -1, -1):
        placed[k] = min(placed[k], ceiling)
        ceiling = placed[k] - gap
    return placed


def _estimate(
    estimate: Estimate, across: Callable[[float], float], y: float, left: float
) -> Markup:
    """One row of an interval chart."""
    look, line = f"tone-{tone(estimate.series)}", y + 13
    parts = [word(left, y, shorten(estimate.name, 28), f"label {look}")]
    if estimate.interval is not None:
        ends = [across(max(end, 0.0)) for end in estimate.interval]
        parts.append(
            Markup('<path class="bar {}" d="M{:.1f} {:.1f}H{:.1f}"/>').format(
                look, ends[0], line, ends[1]
            )
        )
    parts += [
        Markup('<circle class="ring {}" cx="{:.1f}" cy="{:.1f}" r="3.2"/>').format(
            look, across(value), line
        )
        for value in estimate.values
    ]
    parts.append(marker(estimate.series, across(estimate.mean), line))
    return Markup("").join(parts)


def _measured(estimate: Estimate, places: int) -> str:
    """The mean with its interval, in percent."""
    mean = percent(estimate.mean, places)
    if estimate.interval is None:
        return mean
    return f"{mean} ({percent_interval(estimate.interval, places)})".replace(" ", SPACE)


def marker(series: int, x: float, y: float) -> Markup:
    """The marker of a series at a place."""
    kind, points = f"marker tone-{tone(series)}", TONES[tone(series)].marker
    if not points:
        return Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="4"/>').format(kind, x, y)
    return Markup('<polygon class="{}" points="{}" transform="translate({:.1f} {:.1f})"/>').format(
        kind, points, x, y
    )


def _label(line: Line) -> str:
    """The name of a curve, as long as there is room for it."""
    return shorten(line.name, 15)


def word(x: float, y: float, text: str, look: str) -> Markup:
    """A word in a figure."""
    return Markup('<text class="{}" x="{:.1f}" y="{:.1f}">{}</text>').format(look, x, y, text)


def drawing(title: str, description: str, width: int, height: float, parts: list[Markup]) -> Markup:
    """The whole figure; screen readers say its title and description instead of its parts."""
    return Markup(
        '<svg viewBox="0 0 {0} {1:.0f}" width="{0}" height="{1:.0f}" role="img">'
        "<title>{2}</title><desc>{3}</desc>{4}</svg>"
    ).format(width, height, title, description, Markup("").join(parts))
