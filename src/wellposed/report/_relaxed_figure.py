"""The figure of a loss under several equations: panels of curves, or rows of pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from markupsafe import Markup

from wellposed.pde import Grid
from wellposed.report._figures import drawing, word
from wellposed.report._heat_map import color_bar, heat_map, spot
from wellposed.report._panels import HEIGHT, WIDTH, Trace, legend, panel

_GAP = 16
_WIDE = 2 * WIDTH + _GAP
_HEAD, _LABEL = 38, 20  # above a row of pictures, and above each
_MARGIN = 10


@final
@dataclass(frozen=True, slots=True)
class Row:
    """A loss before and after, under one equation.

    Args:
        heading: What the equation is called.
        note: A short line below.
        values: The loss, and what became of it at each time.
    """

    heading: str
    note: str
    values: Sequence[np.ndarray]


@final
@dataclass(frozen=True, slots=True)
class Words:
    """What a figure says.

    Args:
        title: Names it, for those who do not see it.
        description: What is to be seen, for those who do not see it.
        footnote: Below the figure, one line each.
    """

    title: str
    description: str
    footnote: Sequence[str]


def relaxed_figure(
    words: Words, grid: Grid, times: Sequence[float], rows: Sequence[Row], *, narrow: bool = False
) -> Markup:
    """A panel per equation for one variable, a row of pictures per equation for two.

    Args:
        words: What it says.
        grid: Where the values are.
        times: Of the relaxed losses, ascending.
        rows: One per equation, all with the same loss.
        narrow: For a narrow place, such as a telephone.
    """
    draw = _lines if len(grid.axes) == 1 else _maps
    width = WIDTH if narrow else _WIDE
    parts, bottom = draw(grid, times, rows, width)
    for line in words.footnote:
        bottom += 17
        parts.append(word(0, bottom, line, "axis"))
    whole = _moved(_MARGIN, _MARGIN, Markup("").join(parts))
    size = (width + 2 * _MARGIN, bottom + 2 * _MARGIN)
    return drawing(words.title, words.description, *size, [whole])


def _lines(
    grid: Grid, times: Sequence[float], rows: Sequence[Row], width: int
) -> tuple[list[Markup], float]:
    """Panels, as many in a row as fit, and where they end."""
    x, ground = grid.axes[0].tolist(), rows[0].values[0]
    pad = 0.08 * float(np.ptp(ground))
    ordinates = (float(ground.min()) - pad, float(ground.max()) + pad)
    in_a_row, top = width // WIDTH, 30 if width > WIDTH else 48
    names: list[tuple[str, int | None]] = [("loss", None)]
    names += [(f"t = {t:g}", k) for k, t in enumerate(times)]
    parts = [legend(names, width)]
    for number, row in enumerate(rows):
        traces = [Trace(x, y.tolist(), k - 1 if k else None) for k, y in enumerate(row.values)]
        down, right = divmod(number, in_a_row)
        drawn = panel(row.heading, row.note, traces, ordinates)
        parts.append(_moved(right * (WIDTH + _GAP), top + down * (HEIGHT + _GAP), drawn))
    return parts, top + -(-len(rows) // in_a_row) * (HEIGHT + _GAP) - _GAP


def _maps(
    grid: Grid, times: Sequence[float], rows: Sequence[Row], width: int
) -> tuple[list[Markup], float]:
    """Rows of pictures, as many side by side as there is room for, and where they end."""
    ground = rows[0].values[0]
    low, high = float(ground.min()), float(ground.max())
    columns = 1 + len(times) if width > WIDTH else 2
    across = (width - (columns - 1) * _GAP) / columns
    up = across * float(np.ptp(grid.axes[1]) / np.ptp(grid.axes[0]))
    names, first = ["loss", *(f"t = {t:g}" for t in times)], heat_map(ground, low, high)
    parts, top = [], 0.0
    for row in rows:
        parts.append(word(0, top + 14, row.heading, "head"))
        parts.append(word(0, top + 30, row.note, "axis"))
        for k, (name, values) in enumerate(zip(names, row.values, strict=True)):
            picture = heat_map(values, low, high) if k else first
            down, right = divmod(k, columns)
            drawn = word(across / 2, 14, name, "tick middle")
            drawn += _moved(0, _LABEL, _picture(picture, values, across, up))
            place = (right * (across + _GAP), top + _HEAD + down * (up + _LABEL + 4))
            parts.append(_moved(*place, drawn))
        top += _HEAD + -(-len(names) // columns) * (up + _LABEL + 4) + 10
    bar = 0.6 * width
    parts.append(_moved(0, top + 6, color_bar(low, high, bar)))
    parts.append(word(bar + 12, top + 17, "ring: the minimum", "axis"))
    return parts, top + 42


def _picture(picture: str, values: np.ndarray, width: float, height: float) -> Markup:
    """One picture in its frame, with a ring at its minimum."""
    i, j = np.unravel_index(values.argmin(), values.shape)
    at = (i / (values.shape[0] - 1) * width, (1 - j / (values.shape[1] - 1)) * height)
    image = Markup(
        '<image href="{0}" width="{1:.1f}" height="{2:.1f}" preserveAspectRatio="none"/>'
        '<rect class="frame" width="{1:.1f}" height="{2:.1f}"/>'
    ).format(picture, width, height)
    return image + spot(*at)


def _moved(x: float, y: float, drawn: Markup) -> Markup:
    """A part of a figure, somewhere else."""
    return Markup('<g transform="translate({:.1f} {:.1f})">{}</g>').format(x, y, drawn)
