"""Every error that wellposed raises on purpose.

    WellposedError
    ├── ArgumentError       a value is outside its range           (also a ValueError)
    ├── UnknownNameError    a name that no package exports          (also a LookupError)
    ├── RecipeError         a recipe says something it cannot mean  (also a ValueError)
    ├── DataError           a data file is missing, damaged, hostile(also a ValueError)
    ├── NotFiniteError      the objective left the reals            (also an ArithmeticError)
    ├── RunFolderError      a run folder cannot be used or trusted  (also an OSError)
    └── Interrupted         a signal ended the run; it can be resumed

A message is one clear sentence: what was found, what would have been right, what to try.
The command line prints it without a traceback and exits with 2 (`Interrupted`: 130 or 143).
"""

from collections.abc import Iterable
from difflib import get_close_matches

_LINE = 200


class WellposedError(Exception):
    """Base class: `except WellposedError` catches all that this library raises on purpose."""


class ArgumentError(WellposedError, ValueError):
    """A value is outside the range that its meaning allows."""


class RecipeError(WellposedError, ValueError):
    """A recipe says something it cannot mean; the message names the file and the key."""


class DataError(WellposedError, ValueError):
    """A data file is missing, damaged or hostile; the message names the file and the fault."""


class RunFolderError(WellposedError, OSError):
    """A run folder cannot be used: not one, newer than this version, or tampered with."""


class UnknownNameError(WellposedError, LookupError):
    """A name that no package exports; the message offers the nearest ones.

    Args:
        kind: What was looked for, in one word: "optimizer", "model", "key".
        name: What was found instead.
        known: The names that would have been right.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        super().__init__(f"no {kind} is called {name!r}; {nearest(name, known)}")


class NotFiniteError(WellposedError, ArithmeticError):
    """The objective became inf or nan: no further step means anything.

    Args:
        step: The step at which it happened.
        loss: The value found.
        last: The last finite value.
        culprit: The first layer output or gradient that is not finite, in words.
        remedy: What to try, in words, with numbers.
    """

    def __init__(self, step: int, loss: float, *, last: float, culprit: str, remedy: str) -> None:
        self.step = step
        super().__init__(
            f"the loss became {loss} at step {step} (last finite value {last:.4g})\n"
            f"  first seen in  {culprit}\n"
            f"  try            {remedy}"
        )


class Interrupted(WellposedError):  # noqa: N818 - nothing went wrong: somebody pressed Ctrl-C
    """A signal ended the run after a checkpoint was written.

    Args:
        signal: The signal's number; the exit code is 128 + this.
        how_to_resume: The command that goes on from here.
    """

    def __init__(self, signal: int, how_to_resume: str) -> None:
        self.signal = signal
        super().__init__(f"stopped by signal {signal}; to go on: {how_to_resume}")


def require(condition: object, message: str) -> None:
    """Raise `ArgumentError(message)` unless the condition, a bool of Python or numpy, holds.

    Raises:
        ArgumentError: If it does not hold.
    """
    if not condition:
        raise ArgumentError(message)


def first_line(error: BaseException) -> str:
    """The first line of what an error says, or else its kind; of others' errors, 200 characters."""
    said = (str(error).strip().splitlines() or [type(error).__name__])[0]
    whole = isinstance(error, WellposedError) or len(said) <= _LINE
    return said if whole else f"{said[: _LINE - 3]}..."


def in_a_line(error: BaseException) -> str:
    """The kind of an error and its first line: "ValueError: x is 3"."""
    kind = type(error).__name__
    return f"{kind}: {first_line(error)}" if str(error).strip() else kind


def nearest(name: str, known: Iterable[str]) -> str:
    """The half sentence that offers what was probably meant: "did you mean 'lenet'?"."""
    known = sorted(known)
    by_folded = {key.casefold(): key for key in known}
    near = [by_folded[k] for k in get_close_matches(name.casefold(), by_folded, n=3, cutoff=0.6)]
    if near:
        return f"did you mean {' or '.join(repr(n) for n in near)}?"
    return f"known are {', '.join(known)}" if known else "none is known"
