"""A function on a rectangular grid, drawn: a map with lines of equal height and named places."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import final

import numpy as np
from markupsafe import Markup

from wellposed.report._axis import linear, number_name
from wellposed.report._figures import drawing, grid, word
from wellposed.report._heat_map import color_bar, heat_map, spot
from wellposed.report._sentences import plain, shorten
from wellposed.runs import Surface

WIDTH, HEIGHT = 360, 372
_TOP, _LEFT, _RIGHT, _BOTTOM = 30, 46, 14, 92
_SIDE, _PIXELS, _CROSSES, _LEVELS, _NAMES = 160, 120, 400, 7, 12
_HUGE = 1e200


@final
@dataclass(frozen=True, slots=True)
class _Map:
    """Values on a grid, with the range of their colors.

    Args:
        x: Abscissas, ascending.
        y: Ordinates, ascending.
        values: One row per ordinate; a logarithm if the scale is logarithmic.
        low: Of the deepest color.
        high: Of the highest color.
        log: Whether the scale is logarithmic.
    """

    x: np.ndarray
    y: np.ndarray
    values: np.ndarray
    low: float
    high: float
    log: bool

    def said(self, value: float) -> str:
        """A value of the map in words."""
        return plain(10**value if self.log else value)


def surface_plot(figure: Surface) -> Markup:
    """The figure as SVG.

    Args:
        figure: With one row of values per y, and one value per x; x and y go up or down.
    """
    drawn = _read(figure)
    x_axis = linear(drawn.x, name=number_name, most=4)
    y_axis = linear(drawn.y, name=number_name, most=5)
    right, bottom = WIDTH - _RIGHT, HEIGHT - _BOTTOM

    def across(value: float) -> float:
        return _LEFT + x_axis.position(value) * (right - _LEFT)

    def down(value: float) -> float:
        return bottom - y_axis.position(value) * (bottom - _TOP)

    image = Markup(
        '<image href="{0}" x="{1}" y="{2}" width="{3}" height="{4}" preserveAspectRatio="none"/>'
    ).format(
        heat_map(_raster(drawn).T, drawn.low, drawn.high), _LEFT, _TOP, right - _LEFT, bottom - _TOP
    )
    parts = [grid(x_axis, y_axis, across, down, right, bottom), image]
    parts.append(_contours(drawn, across, down))
    parts.append(_crosses(drawn, across, down))
    parts.append(
        Markup('<rect class="frame" x="{}" y="{}" width="{}" height="{}"/>').format(
            _LEFT, _TOP, right - _LEFT, bottom - _TOP
        )
    )
    parts.append(word(0, 14, shorten(figure.y_label, 52), "axis"))
    parts.append(word((_LEFT + right) / 2, bottom + 34, shorten(figure.x_label, 48), "axis middle"))
    parts += [_place(*point, across, down) for point in figure.points[:_NAMES] if _fits(point)]
    name = (lambda v: plain(10.0**v, 2)) if drawn.log else number_name
    bar = color_bar(drawn.low, drawn.high, right - _LEFT, name)
    parts.append(Markup('<g transform="translate({} {})">{}</g>').format(_LEFT, bottom + 50, bar))
    return drawing(figure.heading, _description(figure, drawn), WIDTH, HEIGHT, parts)


def not_finite(figure: Surface) -> str:
    """How many values have no color of their own, in words; "" if all have."""
    values = np.array(figure.values, dtype=float)
    wrong = int(np.size(values) - np.isfinite(values).sum())
    if not wrong:
        return ""
    return f"{wrong} of {np.size(values)} values are not finite: crossed, in the highest color"


def _read(figure: Surface) -> _Map:
    """The map with ascending places, at most `_SIDE` a side; what is not finite is nan."""
    x, y = (
        np.clip(np.array(places, dtype=float), -_HUGE, _HUGE) for places in (figure.x, figure.y)
    )
    given = np.array(figure.values, dtype=float)
    values = np.where(np.isfinite(given), np.clip(given, -_HUGE, _HUGE), np.nan)
    values[np.abs(values) < 1 / _HUGE] = 0.0
    columns, rows = (np.argsort(p)[:: -(-len(p) // _SIDE)] for p in (x, y))
    x, y, values = x[columns], y[rows], values[np.ix_(rows, columns)]
    if figure.log:
        with np.errstate(divide="ignore", invalid="ignore"):
            values = np.where(values > 0, np.log10(values), np.nan)
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    if low == high:
        low, high = low - 0.5 * (abs(low) or 1.0), high + 0.5 * (abs(high) or 1.0)
    return _Map(x, y, values, low, high, figure.log)


def _raster(drawn: _Map) -> np.ndarray:
    """Values in the middle of every pixel, by linear interpolation along both axes."""
    values = np.where(np.isfinite(drawn.values), drawn.values, drawn.high)
    middles = (np.arange(_PIXELS) + 0.5) / _PIXELS
    for axis, places in enumerate((drawn.y, drawn.x)):
        at = places[0] + middles * (places[-1] - places[0])
        lines = np.moveaxis(values, axis, -1)
        finer = [np.interp(at, places, line) for line in lines]
        values = np.moveaxis(np.array(finer), -1, axis)
    return values


def _contours(
    drawn: _Map, across: Callable[[float], float], down: Callable[[float], float]
) -> Markup:
    """Lines of equal height at even steps, between the four corners of every cell."""
    pieces = []
    for level in np.linspace(drawn.low, drawn.high, _LEVELS + 2)[1:-1]:
        for (x0, y0), (x1, y1) in _crossings(drawn.values, float(level)):
            ends = [
                (across(_at(drawn.x, x)), down(_at(drawn.y, y))) for x, y in ((x0, y0), (x1, y1))
            ]
            pieces.append("M{:.1f} {:.1f}L{:.1f} {:.1f}".format(*ends[0], *ends[1]))
    return Markup('<path class="contour" d="{}"/>').format("".join(pieces))


def _crossings(
    values: np.ndarray, level: float
) -> Iterator[tuple[tuple[float, float], tuple[float, float]]]:
    """Where a level crosses the cells, as (column, row) of both ends of a straight piece."""
    above = values > level
    same = (
        (above[:-1, :-1] == above[:-1, 1:])
        & (above[:-1, :-1] == above[1:, :-1])
        & (above[:-1, :-1] == above[1:, 1:])
    )
    fit = np.isfinite(values)
    whole = fit[:-1, :-1] & fit[:-1, 1:] & fit[1:, :-1] & fit[1:, 1:]
    for row, column in np.argwhere(~same & whole):
        corners = [(0, 0), (1, 0), (1, 1), (0, 1)]
        heights = [float(values[row + j, column + i]) for i, j in corners]
        ends = []
        for k, (i, j) in enumerate(corners):
            a, b = heights[k], heights[(k + 1) % 4]
            if (a > level) != (b > level):
                (i2, j2), t = corners[(k + 1) % 4], (level - a) / (b - a)
                ends.append((column + i + t * (i2 - i), row + j + t * (j2 - j)))
        yield from zip(ends[::2], ends[1::2], strict=True)


def _at(places: np.ndarray, index: float) -> float:
    """The place of a broken index."""
    return float(np.interp(index, np.arange(len(places)), places))


def _crosses(
    drawn: _Map, across: Callable[[float], float], down: Callable[[float], float]
) -> Markup:
    """A cross at each of the first values that are not finite."""
    wrong = np.argwhere(~np.isfinite(drawn.values))[:_CROSSES]
    pieces = [
        f"M{across(drawn.x[j]) - 3:.1f} {down(drawn.y[i]) - 3:.1f}l6 6m0-6l-6 6" for i, j in wrong
    ]
    return Markup('<path class="cross" d="{}"/>').format("".join(pieces)) if pieces else Markup("")


def _place(
    x: float, y: float, name: str, across: Callable[[float], float], down: Callable[[float], float]
) -> Markup:
    """A ring with its name beside it."""
    at = (across(x), down(y))
    late = at[0] > WIDTH / 2
    look = "label halo end" if late else "label halo"
    label = word(
        at[0] - 9 if late else at[0] + 9, max(at[1] - 6, _TOP + 12), shorten(name, 24), look
    )
    return spot(*at) + label


def _fits(point: tuple[float, float, str]) -> bool:
    return math.isfinite(point[0]) and math.isfinite(point[1])


def _description(figure: Surface, drawn: _Map) -> str:
    """The map for those who do not see it."""
    text = f"from {drawn.said(drawn.low)} to {drawn.said(drawn.high)}"
    if np.isfinite(drawn.values).any():
        row, column = np.unravel_index(np.nanargmin(drawn.values), drawn.values.shape)
        text += f", lowest at {plain(float(drawn.x[column]))}, {plain(float(drawn.y[row]))}"
    named = [f"{shorten(n, 40)} at {plain(x)}, {plain(y)}" for x, y, n in figure.points[:_NAMES]]
    return "; ".join([text, *named])
