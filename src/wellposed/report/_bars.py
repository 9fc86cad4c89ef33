"""One number per name, drawn: a bar from zero, its interval, and the number in words."""

import math
from collections.abc import Callable

from markupsafe import Markup

from wellposed.report._axis import Axis, linear, logarithmic, number_name, percent_name
from wellposed.report._figures import drawing, marker, word
from wellposed.report._sentences import shorten
from wellposed.report._verdicts import measured
from wellposed.runs import Bars

WIDTH = 360
_ROW, _LEFT, _RIGHT, _ROWS = 36, 6, 14, 60
_HUGE = 1e200


def bars_plot(figure: Bars) -> Markup:
    """The figure as SVG, one row per name.

    Args:
        figure: With as many values as labels.
    """
    rows = min(len(figure.labels), _ROWS)
    top = 22 if figure.y_label else 4
    bottom, right = top + rows * _ROW + 6, WIDTH - _RIGHT
    axis = _axis(figure, rows)

    def across(value: float) -> float:
        return _LEFT + axis.position(value) * (right - _LEFT)

    parts = [word(0, 13, shorten(figure.y_label, 52), "axis")] if figure.y_label else []
    grid = Markup('<path class="grid" d="M{:.1f} {}V{}"/>')
    parts += [grid.format(across(tick), top, bottom) for tick, _ in axis.ticks]
    parts += [word(across(t), bottom + 16, name, "tick middle") for t, name in axis.ticks]
    said = []
    for k in range(rows):
        text = _number(figure, k)
        said.append(f"{shorten(figure.labels[k], 40)} {text}")
        parts.append(_row(figure, k, top + k * _ROW, across, text))
    height = bottom + 22
    marks = [m for m in figure.marks if math.isfinite(m.value) and abs(m.value) < _HUGE]
    for mark in marks:
        x = across(mark.value)
        late = x > WIDTH / 2
        parts.append(Markup('<path class="mark" d="M{:.1f} {}V{}"/>').format(x, top, bottom))
        height += 15
        look = "note end" if late else "note"
        parts.append(word(x, height - 6, shorten(mark.name, 34), look))
        said.append(f"{shorten(mark.name, 40)} at {number_name(mark.value)}")
    left_out = len(figure.labels) - rows
    said += [f"and {left_out} more"] if left_out > 0 else []
    return drawing(figure.heading, "; ".join(said), WIDTH, height, parts)


def _axis(figure: Bars, rows: int) -> Axis:
    """The axis over values, intervals and marks; it holds 0 unless it is logarithmic."""
    ends = [*figure.values[:rows], *(figure.low or ())[:rows], *(figure.high or ())[:rows]]
    ends += [mark.value for mark in figure.marks]
    values = [min(_HUGE, max(-_HUGE, v)) for v in ends if math.isfinite(v)]
    name: Callable[[float], str] = percent_name if figure.percent else number_name
    if figure.log and any(v > 1 / _HUGE for v in values):
        return logarithmic([v for v in values if v > 1 / _HUGE], name=name, most=5)
    return linear([*values, 0.0], name=name, most=4)


def _row(figure: Bars, k: int, top: float, across: Callable[[float], float], text: str) -> Markup:
    """A name, its number, and below them the bar with its interval."""
    value, y = figure.values[k], top + 25
    room = max(6, int((WIDTH - 6.6 * len(text)) / 7.3) - 2)
    parts = [word(_LEFT, top + 14, shorten(figure.labels[k], room), "label")]
    parts.append(word(WIDTH - _RIGHT, top + 14, text, "tick end"))
    if math.isfinite(value):
        start = _LEFT if figure.log else across(0.0)
        parts.append(
            Markup('<path class="bar tone-0" d="M{:.1f} {:.1f}H{:.1f}"/>').format(
                start, y, across(value)
            )
        )
        parts.append(marker(0, across(value), y))
    if figure.low is not None and figure.high is not None:
        low, high = figure.low[k], figure.high[k]
        if math.isfinite(low) and math.isfinite(high):
            parts.append(
                Markup(
                    '<path class="whisker tone-0" d="M{0:.1f} {2:.1f}H{1:.1f}M{0:.1f} {3:.1f}v8'
                    'M{1:.1f} {3:.1f}v8"/>'
                ).format(across(low), across(high), y, y - 4)
            )
    return Markup("").join(parts)


def _number(figure: Bars, k: int) -> str:
    """The value of a row with its interval."""
    interval = None
    if figure.low is not None and figure.high is not None:
        interval = (figure.low[k], figure.high[k])
        if not all(map(math.isfinite, interval)):
            interval = None
    return measured(figure.values[k], interval, None, "share" if figure.percent else "")
