"""Panels with functions of one variable in a common frame, such as a loss and its relaxations."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import final

from markupsafe import Markup

from wellposed.report._axis import Axis, linear, number_name
from wellposed.report._figures import marker, word
from wellposed.report._palette import TONES, tone

WIDTH, HEIGHT = 372, 250
_TOP, _LEFT, _BOTTOM, _RIGHT = 40, 34, 24, 8
_SLACK = 0.12  # pixels that a dropped point may lie off the line


@final
@dataclass(frozen=True, slots=True)
class Trace:
    """A function of one variable in a panel.

    Args:
        x: Abscissas, ascending.
        y: Finite ordinates; what is outside the panel is cut off.
        series: Decides color, dash and marker; None for the ground that others are compared with.
    """

    x: Sequence[float]
    y: Sequence[float]
    series: int | None


def panel(
    heading: str, note: str, traces: Sequence[Trace], ordinates: tuple[float, float]
) -> Markup:
    """A panel of `WIDTH` by `HEIGHT`: heading, note, frame, traces, and a marker at each minimum.

    Args:
        heading: Names it.
        note: A short line below.
        traces: What is drawn; the first is furthest behind.
        ordinates: The lowest and the highest ordinate that is seen.
    """
    x_axis = linear([x for trace in traces for x in trace.x], name=number_name, most=5)
    y_axis = linear(ordinates, name=number_name, most=4)
    parts = [word(_LEFT, 14, heading, "head"), word(_LEFT, 30, note, "axis"), _grid(x_axis, y_axis)]
    for trace in traces:
        look = "ground" if trace.series is None else f"line tone-{tone(trace.series)}"
        dash = "" if trace.series is None else TONES[tone(trace.series)].dash
        parts.append(
            Markup('<path class="{}" d="{}" stroke-dasharray="{}"/>').format(
                look, _path(trace, x_axis, y_axis), dash
            )
        )
    for trace in traces:
        low = min(range(len(trace.y)), key=trace.y.__getitem__)
        if trace.series is not None and y_axis.low <= trace.y[low] <= y_axis.high:
            at = (_across(x_axis, trace.x[low]), _down(y_axis, trace.y[low]))
            parts.append(marker(trace.series, *at))
    return Markup("").join(parts)


def legend(names: Sequence[tuple[str, int | None]], width: float) -> Markup:
    """Names with their lines, from the left edge of a panel's frame, 20 pixels a row.

    Args:
        names: Each with its series; None for the ground.
        width: Where the next row begins.
    """
    parts, x, y = [], float(_LEFT), 10
    for name, series in names:
        if x + 42 + 8 * len(name) > width:
            x, y = float(_LEFT), y + 20
        look = "ground" if series is None else f"line tone-{tone(series)}"
        dash = "" if series is None else TONES[tone(series)].dash
        parts.append(
            Markup('<path class="{}" d="M{:.0f} {}h34" stroke-dasharray="{}"/>').format(
                look, x, y, dash
            )
        )
        if series is not None:
            parts.append(marker(series, x + 17, y))
        parts.append(word(x + 42, y + 4, name, "label"))
        x += 42 + 8 * len(name) + 22
    return Markup("").join(parts)


def _across(axis: Axis, x: float) -> float:
    """Where an abscissa is."""
    return _LEFT + axis.position(x) * (WIDTH - _LEFT - _RIGHT)


def _down(axis: Axis, y: float) -> float:
    """Where an ordinate is."""
    bottom = HEIGHT - _BOTTOM
    return bottom - axis.position(y) * (bottom - _TOP)


def _grid(x_axis: Axis, y_axis: Axis) -> Markup:
    """Thin lines at the named values, and their names."""
    line = Markup('<line class="grid" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>')
    bottom, parts = HEIGHT - _BOTTOM, []
    for value, name in y_axis.ticks:
        y = _down(y_axis, value)
        parts.append(line.format(_LEFT, y, WIDTH - _RIGHT, y))
        parts.append(word(_LEFT - 6, y + 4, name, "tick end"))
    for value, name in x_axis.ticks:
        x = _across(x_axis, value)
        parts.append(line.format(x, bottom, x, bottom + 4))
        parts.append(word(x, bottom + 17, name, "tick middle"))
    return Markup("").join(parts)


def _path(trace: Trace, x_axis: Axis, y_axis: Axis) -> str:
    """The path of a trace within the frame, without points that make no difference."""
    pieces = []
    for run in _visible(trace, y_axis.low, y_axis.high):
        points = [(_across(x_axis, x), _down(y_axis, y)) for x, y in run]
        pieces += [
            f"{'L' if k else 'M'}{x:.1f} {y:.1f}" for k, (x, y) in enumerate(_thinned(points))
        ]
    return "".join(pieces)


def _visible(trace: Trace, low: float, high: float) -> Iterator[list[tuple[float, float]]]:
    """The stretches of a trace between two heights, cut where it crosses them."""
    run: list[tuple[float, float]] = []
    points = list(zip(trace.x, trace.y, strict=True))
    for k, (x, y) in enumerate(points):
        inside = low <= y <= high
        if k and inside != (low <= points[k - 1][1] <= high):
            before = points[k - 1]
            beyond = max(y, before[1]) > high
            edge = high if beyond else low
            share = (edge - before[1]) / (y - before[1])
            run.append((before[0] + share * (x - before[0]), edge))
        if inside:
            run.append((x, y))
        elif run:
            yield run
            run = []
    if run:
        yield run


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points without those that lie on the line between their neighbors that are kept."""
    kept, start = points[:1], 0
    for end in range(2, len(points)):
        (x0, y0), (x1, y1) = points[start], points[end]
        off = (abs(y0 + (x - x0) / (x1 - x0) * (y1 - y0) - y) for x, y in points[start + 1 : end])
        if x1 > x0 and max(off) > _SLACK:
            start = end - 1
            kept.append(points[start])
    return kept + points[-1:] if len(points) > 1 else kept
