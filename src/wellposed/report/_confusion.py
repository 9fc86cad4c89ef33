"""The confusion matrix as a table that can be read, and in words."""

from dataclasses import dataclass
from typing import final

from wellposed.report._sentences import count, listing

_LEVELS = 6
_WIDEST = 25
_LONGEST = 28


@final
@dataclass(frozen=True, slots=True)
class Cell:
    """One cell.

    Args:
        text: The count; "" for none, so that zeros do not distract.
        look: Its class in the style sheet: "hit" or "miss" and a level of shade.
        said: The cell in words.
    """

    text: str
    look: str
    said: str


@final
@dataclass(frozen=True, slots=True)
class Row:
    """One true class.

    Args:
        name: Its name.
        cells: One per predicted class.
        total: How many examples it has.
        missed: How many of them were taken for something else.
    """

    name: str
    cells: list[Cell]
    total: str
    missed: str


@final
@dataclass(frozen=True, slots=True)
class Confusion:
    """The matrix.

    Args:
        names: Of the classes, in order.
        rows: One per true class; none if there are too many classes for a table.
        sentence: Which classes are confused most often.
    """

    names: list[str]
    rows: list[Row]
    sentence: str


def confusion(counts: list[list[int]], classes: list[str]) -> Confusion | None:
    """The table for counts[true][predicted], or None if there are none.

    Args:
        counts: A square table of counts.
        classes: Names of the classes; a class without one goes by its number.
    """
    if not counts or not any(map(sum, counts)):
        return None
    names = [_short(class_name(k, classes)) for k in range(len(counts))]
    rows = [_row(names, true, row) for true, row in enumerate(counts)]
    return Confusion(names, rows if len(names) <= _WIDEST else [], _sentence(counts, names))


def class_name(number: int, classes: list[str]) -> str:
    """The name of a class, or its number if it has none."""
    return classes[number] if 0 <= number < len(classes) else str(number)


def _short(name: str) -> str:
    """A name that leaves room for the counts: its beginning and its end."""
    return name if len(name) <= _LONGEST else f"{name[:18]}…{name[-9:]}"


def _row(names: list[str], true: int, row: list[int]) -> Row:
    """The row of one true class, shaded by its share of the row."""
    total = sum(row)
    cells = []
    for predicted, number in enumerate(row):
        kind = "hit" if predicted == true else "miss"
        level = _level(number / total if total else 0.0, boost=kind == "miss")
        said = f"{count(number)} of {names[true]} taken for {names[predicted]}"
        cells.append(Cell(count(number) if number else "", f"{kind}-{level}", said))
    return Row(names[true], cells, count(total), count(total - row[true]))


def _level(share: float, *, boost: bool) -> int:
    """Shade 0 to 5; few mistakes are still seen."""
    if share <= 0:
        return 0
    share = share**0.5 if boost else share
    return max(1, min(_LEVELS - 1, round(share * (_LEVELS - 1))))


def _sentence(counts: list[list[int]], names: list[str]) -> str:
    """The most frequent confusions in words."""
    wrong = [
        (number, true, predicted)
        for true, row in enumerate(counts)
        for predicted, number in enumerate(row)
        if number and true != predicted
    ]
    if not wrong:
        return "No example was taken for another class."
    wrong.sort(key=lambda item: (-item[0], item[1:]))
    most = [
        f"{names[true]} taken for {names[predicted]} ({_times(number)})"
        for number, true, predicted in wrong[:3]
    ]
    return f"Most often: {listing(most)}."


def _times(number: int) -> str:
    """How often, in words: "once", "twice", "12 times"."""
    return {1: "once", 2: "twice"}.get(number, f"{count(number)} times")
