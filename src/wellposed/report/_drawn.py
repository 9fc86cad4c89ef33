"""A figure of a finding, read from JSON with every size limited, and drawn."""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, final

from markupsafe import Markup
from pydantic import TypeAdapter, ValidationError

from wellposed.report._audit_document import fault
from wellposed.report._bars import bars_plot
from wellposed.report._documents import Text, Tolerant
from wellposed.report._figures import swatch
from wellposed.report._palette import TONES
from wellposed.report._pictures import Album
from wellposed.report._plot import curves_plot
from wellposed.report._sentences import count, shorten
from wellposed.report._surface import not_finite, surface_plot
from wellposed.runs import Bars, Curves, Listing, RunFolder, Surface

_SERIES, _POINTS, _LABELS, _SIDE = 60, 20_000, 2000, 512
NOTHING = Markup("")
_ROWS, _COLUMNS, _PICTURES = 60, 12, 12


@final
@dataclass(frozen=True, slots=True)
class Drawn:
    """A figure, ready to be written down; one of the last four is not empty.

    Args:
        heading: What is seen.
        note: A sentence below.
        svg: The drawing.
        legend: Names with their lines.
        rows: Rows of pictures: data URI, or None where it is not fit, and caption.
        table: A table: header and rows.
        right: First column of the table whose cells are set to the right.
    """

    heading: str
    note: str = ""
    svg: Markup = NOTHING
    legend: tuple[tuple[Markup, str], ...] = ()
    rows: tuple[tuple[tuple[str | None, str], ...], ...] = ()
    table: tuple[tuple[str, ...], tuple[tuple[str, ...], ...]] | None = None
    right: int = 1


class _Picture(Tolerant):
    picture: str
    caption: Text = ""


class _Pictures(Tolerant):
    heading: str = ""
    rows: list[list[_Picture]]
    note: str = ""


_CURVES, _BARS = TypeAdapter(Curves), TypeAdapter(Bars)
_SURFACE, _LISTING = TypeAdapter(Surface), TypeAdapter(Listing)


def draw(value: Any, folder: RunFolder, album: Album) -> Drawn | str:
    """The figure drawn, or a sentence that says why it is not.

    Args:
        value: As it stands in findings.json.
        folder: Where its pictures are.
        album: Takes the pictures.
    """
    kind = value.get("kind") if isinstance(value, dict) else None
    try:
        match kind:
            case "curves":
                drawn = _curves(_CURVES.validate_python(value))
            case "bars":
                drawn = _bars(_BARS.validate_python(value))
            case "surface":
                drawn = _surface(_SURFACE.validate_python(value))
            case "listing":
                drawn = _listing(_LISTING.validate_python(value))
            case "pictures":
                drawn = _pictures(_Pictures.model_validate(value), folder, album)
            case _:
                return f"A figure is not shown: its kind is {shorten(repr(kind), 40)}."
    except ValidationError as error:
        return f"A figure is not shown: {fault(error)}."
    except _UnfitError as error:
        return f"A figure is not shown: {error}."
    return replace(drawn, heading=shorten(drawn.heading, 120), note=shorten(drawn.note, 1000))


class _UnfitError(Exception):
    """A figure that is too large, or whose parts do not fit together."""


def _require(fits: bool, why: str) -> None:  # noqa: FBT001
    if not fits:
        raise _UnfitError(why)


def _curves(figure: Curves) -> Drawn:
    _require(bool(figure.series), "it has no curves")
    _require(len(figure.series) <= _SERIES, f"it has more than {_SERIES} curves")
    for item in figure.series:
        lengths = {len(part) for part in (item.x, item.y, item.low, item.high) if part is not None}
        _require(len(lengths) == 1, "a curve has not as many ordinates as abscissas")
        _require(max(lengths) <= _POINTS, f"a curve has more than {count(_POINTS)} points")
    legend = tuple(
        (swatch(k, line=not item.points), shorten(item.name, 80))
        for k, item in enumerate(figure.series)
        if item.name and not item.faint
    )
    note = _scales(figure.note, log_x=figure.log_x, log_y=figure.log_y)
    if len(legend) > len(TONES):
        note = _joined(note, f"colors repeat after {len(TONES)} curves")
    return Drawn(figure.heading, note, curves_plot(figure), legend)


def _bars(figure: Bars) -> Drawn:
    parts = (figure.labels, figure.values, figure.low, figure.high)
    _require(
        len({len(part) for part in parts if part is not None}) == 1,
        "it has not as many values as names",
    )
    _require(0 < len(figure.labels) <= _LABELS, f"it has no names, or more than {count(_LABELS)}")
    note = _scales(figure.note, log_x=figure.log, log_y=False)
    return Drawn(figure.heading, note, bars_plot(figure))


def _surface(figure: Surface) -> Drawn:
    rows, columns = len(figure.y), len(figure.x)
    _require(
        rows == len(figure.values) and all(len(row) == columns for row in figure.values),
        "its values do not fit its grid",
    )
    _require(2 <= rows <= _SIDE and 2 <= columns <= _SIDE, f"its grid is not 2 to {_SIDE} a side")
    for places in (figure.x, figure.y):
        steps = [b - a for a, b in pairwise(places)]
        rises = all(step > 0 for step in steps) or all(step < 0 for step in steps)
        _require(rises, "its grid does not rise or fall throughout")
    note = _joined(figure.note, "logarithmic color" if figure.log else "", not_finite(figure))
    return Drawn(figure.heading, note, surface_plot(figure))


def _listing(figure: Listing) -> Drawn:
    width = min(len(figure.header), _COLUMNS)
    _require(width > 0, "its table has no columns")
    rows = tuple(
        tuple(shorten(cell, 200) for cell in (*row, *[""] * width)[:width])
        for row in figure.rows[:_ROWS]
    )
    left_out = len(figure.rows) - len(rows)
    more = f"{count(left_out)} more rows are in findings.json" if left_out else ""
    header = tuple(shorten(cell, 80) for cell in figure.header[:width])
    return Drawn(
        figure.heading, _joined(figure.note, more), table=(header, rows), right=figure.right
    )


def _pictures(figure: _Pictures, folder: RunFolder, album: Album) -> Drawn:
    rows = tuple(
        tuple((album.embed(folder, cell.picture), cell.caption) for cell in row[:_PICTURES])
        for row in figure.rows[:_PICTURES]
        if row
    )
    _require(bool(rows), "it has no pictures")
    return Drawn(figure.heading, figure.note, rows=rows)


def _scales(note: str, *, log_x: bool, log_y: bool) -> str:
    """A note with what is logarithmic."""
    logs = {
        (True, True): "both scales logarithmic",
        (True, False): "logarithmic across",
        (False, True): "logarithmic upward",
    }.get((log_x, log_y), "")
    return _joined(note, logs)


def _joined(*parts: str) -> str:
    """Notes as one, without full stops within."""
    found = [part for part in parts if part]
    return "; ".join([*(part.rstrip(". ") for part in found[:-1]), *found[-1:]])
