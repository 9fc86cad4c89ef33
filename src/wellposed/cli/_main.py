"""The entry point: every way in which a command can end becomes a sentence and an exit code."""

import os
import signal
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from types import FrameType
from typing import Any, NoReturn

import typer

from wellposed.cli._app import app
from wellposed.errors import Interrupted, WellposedError, in_a_line

BAD_INPUT = 2
OUR_FAULT = 70
CTRL_C = 130
PIPE_CLOSED = 141
FULL = "the memory is full; try a smaller batch_size or a smaller model"


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave with its exit code; no traceback reaches the user."""
    for name in ("stdout", "stderr"):  # None if closed by whoever called
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115, PTH123 - until the end
    warnings.formatwarning = lambda message, *_, **__: f"note: {message}\n"
    with suppress(ValueError):  # not the main thread
        signal.signal(signal.SIGTERM, _terminate)
    code = run(arguments)
    sys.exit(_flush(code))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    try:
        found = app(args=arguments, prog_name="wellposed", standalone_mode=False)
    except BaseException as error:
        for kind, ending in _ENDINGS:
            if isinstance(error, kind):
                return ending(error)
        raise
    if found == CTRL_C:  # typer has caught KeyboardInterrupt
        return _say("stopped before there was anything to resume", CTRL_C)
    return found if isinstance(found, int) else 0


def _say(sentence: str, code: int) -> int:
    with suppress(OSError):
        sys.stderr.write(f"wellposed: {sentence}\n")
    return code


def _lower(sentence: str) -> str:
    """The sentence as it goes on after a colon."""
    sentence = sentence.replace("Value error, ", "")
    return sentence[:1].lower() + sentence[1:].rstrip(".?")


def _about_file(error: OSError) -> str:
    name = f" {error.filename}" if error.filename else ""
    return f"the operating system refused{name}: {(error.strerror or str(error)).lower()}"


def _failed(error: Exception) -> int:
    """An exception that is none of ours: the memory is full, the user's own code, or a fault."""
    if type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error):
        return _say(FULL, BAD_INPUT)
    names = getattr(error, "own_code", ())
    if names:
        said = f"{', '.join(names)}, which the recipe names, does not fit or failed"
        return _say(f"{said}: {_kept(error)}", BAD_INPUT)
    return _say(f"this is a fault of wellposed, not yours: {_kept(error)}", OUR_FAULT)


def _kept(error: Exception) -> str:
    """The exception in words; its traceback goes to a file, which is named."""
    trace = "".join(traceback.format_exception(error))
    try:
        handle, path = tempfile.mkstemp(prefix="wellposed-", suffix=".log")
        with os.fdopen(handle, "w") as file:
            file.write(f"{datetime.now().astimezone().isoformat()}\n{sys.argv}\n{trace}")
    except OSError:
        path = "nowhere, since no temporary file could be written"
    return f"{in_a_line(error)} (details in {path})"


def _usage(error: typer.TyperException) -> int:
    """An option or argument that there is not; or no command, which asks for the help."""
    message = error.format_message()
    if message.startswith("Usage: "):
        typer.echo(message)
        return 0
    return _say(f"{_lower(message)}; try `wellposed --help`", BAD_INPUT)


def _left(error: SystemExit) -> int:
    """The code of a `sys.exit`, which rich turns a closed pipe into."""
    if isinstance(error.__context__, BrokenPipeError):
        return PIPE_CLOSED
    return error.code if isinstance(error.code, int) else 0


# How a command can end, the special before the general.
_ENDINGS: tuple[tuple[type[BaseException], Callable[[Any], int]], ...] = (
    (Interrupted, lambda error: _say(str(error), 128 + error.signal)),
    (WellposedError, lambda error: _say(str(error), BAD_INPUT)),
    (typer.TyperException, _usage),
    (typer.Abort, lambda _: _say("stopped before there was anything to resume", CTRL_C)),
    (SystemExit, _left),
    (BrokenPipeError, lambda _: PIPE_CLOSED),
    (OSError, lambda error: _say(_about_file(error), BAD_INPUT)),
    (MemoryError, lambda _: _say(FULL, BAD_INPUT)),
    (Exception, _failed),
)


def _terminate(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - as signals want it
    """SIGTERM outside training; inside, `fit` has its own handler."""
    raise SystemExit(128 + number)


def _flush(code: int) -> int:
    """Write out what is buffered; a reader that is gone must not cause noise at exit."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except OSError as error:
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _say(_about_file(error), BAD_INPUT)
    return code
