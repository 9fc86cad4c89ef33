"""A figure as data: whoever finds something says what is to be seen, and a report draws it."""

from dataclasses import asdict, dataclass, fields
from typing import Any, TypeAlias, final

from wellposed.errors import RunFolderError

Numbers: TypeAlias = tuple[float, ...]


@final
@dataclass(frozen=True, slots=True)
class Series:
    """A line through points.

    Args:
        name: For the legend; empty for a line that needs none.
        x: Abscissae.
        y: Ordinates, as many; nan leaves a gap.
        low: Lower ends of intervals, as many, or None.
        high: Upper ends.
        faint: Drawn thin, as one of many.
        points: Drawn as dots instead of a line.
    """

    name: str
    x: Numbers
    y: Numbers
    low: Numbers | None = None
    high: Numbers | None = None
    faint: bool = False
    points: bool = False


@final
@dataclass(frozen=True, slots=True)
class Mark:
    """A straight line of reference: "2/lr", "chance".

    Args:
        axis: "x" for a vertical line at that abscissa, "y" for a horizontal one.
        value: Where.
        name: What it says.
    """

    axis: str
    value: float
    name: str


@final
@dataclass(frozen=True, slots=True)
class Curves:
    """Lines over a common axis.

    Args:
        heading: What is seen, a few words.
        x_label: With its unit.
        y_label: With its unit.
        series: The lines.
        marks: Lines of reference.
        log_x: Logarithmic abscissa.
        log_y: Logarithmic ordinate.
        percent: Ordinates are shares, shown in per cent.
        note: One sentence below the heading.
    """

    heading: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    marks: tuple[Mark, ...] = ()
    log_x: bool = False
    log_y: bool = False
    percent: bool = False
    note: str = ""


@final
@dataclass(frozen=True, slots=True)
class Bars:
    """One number per name, with an interval where there is one.

    Args:
        heading: What is seen.
        labels: Names, in the order shown.
        values: As many.
        low: Lower ends of intervals, or None.
        high: Upper ends.
        y_label: With its unit.
        log: Logarithmic scale.
        percent: Values are shares, shown in per cent.
        marks: Lines of reference, with axis "y".
        note: One sentence.
    """

    heading: str
    labels: tuple[str, ...]
    values: Numbers
    low: Numbers | None = None
    high: Numbers | None = None
    y_label: str = ""
    log: bool = False
    percent: bool = False
    marks: tuple[Mark, ...] = ()
    note: str = ""


@final
@dataclass(frozen=True, slots=True)
class Surface:
    """A function on a rectangular grid, drawn as a map.

    Args:
        heading: What is seen.
        x: Abscissae of the columns.
        y: Ordinates of the rows.
        values: One row per y, one number per x.
        x_label: With its unit.
        y_label: With its unit.
        log: Logarithmic color scale.
        points: (x, y, name) of places to name.
        note: One sentence.
    """

    heading: str
    x: Numbers
    y: Numbers
    values: tuple[Numbers, ...]
    x_label: str = ""
    y_label: str = ""
    log: bool = False
    points: tuple[tuple[float, float, str], ...] = ()
    note: str = ""


@final
@dataclass(frozen=True, slots=True)
class Picture:
    """A small picture.

    Args:
        png: The bytes of a PNG file.
        caption: A few words.
    """

    png: bytes
    caption: str = ""


@final
@dataclass(frozen=True, slots=True)
class Pictures:
    """Rows of pictures.

    Args:
        heading: What is seen.
        rows: Pictures in rows.
        note: One sentence.
    """

    heading: str
    rows: tuple[tuple[Picture, ...], ...]
    note: str = ""


@final
@dataclass(frozen=True, slots=True)
class Listing:
    """A table of words and numbers.

    Args:
        heading: What is seen.
        header: Titles of the columns.
        rows: Cells, as many per row.
        right: Number of the first column that is set to the right, as numbers are.
        note: One sentence.
    """

    heading: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    right: int = 1
    note: str = ""


Figure: TypeAlias = Curves | Bars | Surface | Pictures | Listing

_KINDS: dict[str, type] = {
    "curves": Curves, "bars": Bars, "surface": Surface, "pictures": Pictures, "listing": Listing,
}  # fmt: skip


def figure_to_dict(figure: Figure, stem: str) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The figure as JSON, and the files it refers to by name.

    Args:
        figure: Which.
        stem: Beginning of the names of its files: "audit/blur-0".
    """
    kind = next(name for name, made in _KINDS.items() if type(figure) is made)
    if not isinstance(figure, Pictures):
        return {"kind": kind} | asdict(figure), {}
    files: dict[str, bytes] = {}
    rows = []
    for row in figure.rows:
        cells = []
        for picture in row:
            name = f"{stem}-{len(files):03d}.png"
            files[name] = picture.png
            cells.append({"picture": name, "caption": picture.caption})
        rows.append(cells)
    value = {"kind": kind, "heading": figure.heading, "rows": rows, "note": figure.note}
    return value, files


def figure_from_dict(value: dict[str, Any], files: dict[str, bytes]) -> Figure:
    """The inverse of `figure_to_dict`.

    Raises:
        RunFolderError: If the value is no figure, or a picture of it is missing.
    """
    try:
        made = _KINDS[value["kind"]]
        known = {f.name: value[f.name] for f in fields(made) if f.name in value}
        if made is Pictures:
            known["rows"] = [
                [Picture(files[cell["picture"]], cell["caption"]) for cell in row]
                for row in known["rows"]
            ]
        if "series" in known:
            known["series"] = [Series(**_numbers(item)) for item in known["series"]]
        if "marks" in known:
            known["marks"] = [
                Mark(str(item["axis"]), float(item["value"]), str(item["name"]))
                for item in known["marks"]
            ]
        if "points" in known:
            known["points"] = [(float(x), float(y), str(name)) for x, y, name in known["points"]]
        figure: Figure = made(**{key: _tuples(item) for key, item in _numbers(known).items()})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RunFolderError(
            f"a figure of the findings is damaged: {error}; audit again"
        ) from error
    return figure


def _tuples(value: Any) -> Any:
    """Lists as tuples, all the way down."""
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value


_NUMBERS = {"x", "y", "low", "high", "values"}


def _numbers(value: dict[str, Any]) -> dict[str, Any]:
    """Numbers from JSON, where inf and nan are strings."""
    return {key: _floats(item) if key in _NUMBERS else item for key, item in value.items()}


def _floats(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(map(_floats, value))
    return None if value is None else float(value)
