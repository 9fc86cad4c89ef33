"""What one run of a race has come to."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from wellposed.compare._design import Entry
from wellposed.errors import RunFolderError
from wellposed.runs import RunFolder, Status

DIVERGED = 1.0
"""The error that a diverged run counts with: the worst there is, never left out."""

_PARTS = ("test", "validation", "train")  # the first that there is counts


@final
@dataclass(frozen=True, slots=True)
class Outcome:
    """Error and cost of one run.

    Args:
        entry: Which run.
        error: In [0, 1]; 1 if the run diverged.
        part: Of the data that the error is of: "test" where there is one; empty if it diverged.
        examples: How many that part has; 0 if the run diverged.
        cost: As in results.json; empty if the run diverged.
        diverged: Why there is no result, or empty.
    """

    entry: Entry
    error: float
    part: str
    examples: int
    cost: Mapping[str, float]
    diverged: str = ""


def outcome(entry: Entry, folder: RunFolder) -> Outcome | None:
    """What the run's folder says, or None if the run is not finished.

    A run that failed for another reason than a loss that left the reals (a full disk, say) is not
    finished: it says nothing about the method.

    Args:
        entry: Which run.
        folder: Of the run.

    Raises:
        RunFolderError: If results.json does not say what it should.
    """
    if folder.status is Status.FAILED and "diverged" in folder.facts:
        return Outcome(entry, DIVERGED, "", 0, {}, str(folder.facts["diverged"]))
    if folder.status is not Status.DONE:
        return None
    results = folder.read_json("results.json")
    try:
        part = next(name for name in _PARTS if name in results["splits"])
        split, cost = results["splits"][part], dict(results["cost"])
        return Outcome(entry, float(split["error"]), part, int(split["n"]), cost)
    except (KeyError, TypeError, ValueError, StopIteration):
        raise RunFolderError(
            f"{folder.path / 'results.json'} does not say error and cost of the run; remove "
            f"{folder.path} and resume the race to make this run again"
        ) from None
