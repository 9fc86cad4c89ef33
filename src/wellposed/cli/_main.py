"""The entry point: every way in which a command can end becomes a sentence and an exit code."""

import os
import signal
import sys
import tempfile
import traceback
import warnings
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from types import FrameType
from typing import NoReturn

import typer

from wellposed.cli._app import app
from wellposed.errors import Interrupted, WellposedError

BAD_INPUT = 2
OUR_FAULT = 70
CTRL_C = 130
PIPE_CLOSED = 141


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave with its exit code; no traceback reaches the user."""
    warnings.formatwarning = lambda message, *_, **__: f"note: {message}\n"
    with suppress(ValueError):  # not the main thread
        signal.signal(signal.SIGTERM, _terminate)
    code = run(arguments)
    sys.exit(_flush(code))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    try:
        found = app(args=arguments, prog_name="wellposed", standalone_mode=False)
    except Interrupted as error:
        return _say(str(error), 128 + error.signal)
    except WellposedError as error:
        return _say(str(error), BAD_INPUT)
    except typer.TyperException as error:  # an option or argument that there is not
        return _say(f"{_lower(error.format_message())}; try `wellposed --help`", BAD_INPUT)
    except typer.Abort:
        return _say("stopped before there was anything to resume", CTRL_C)
    except SystemExit as error:
        if isinstance(error.__context__, BrokenPipeError):
            return PIPE_CLOSED
        return error.code if isinstance(error.code, int) else 0
    except BrokenPipeError:
        return PIPE_CLOSED
    except OSError as error:
        return _say(_about_file(error), BAD_INPUT)
    except MemoryError:
        return _say("the memory is full; try a smaller train.batch_size or model", BAD_INPUT)
    except Exception:  # noqa: BLE001 - whatever it is, the user gets a sentence
        return _say(_about_us(), OUR_FAULT)
    if found == CTRL_C:  # typer has caught KeyboardInterrupt
        return _say("stopped before there was anything to resume", CTRL_C)
    return found if isinstance(found, int) else 0


def _say(sentence: str, code: int) -> int:
    with suppress(OSError):
        sys.stderr.write(f"wellposed: {sentence}\n")
    return code


def _lower(sentence: str) -> str:
    """The sentence as it goes on after a colon."""
    return sentence[:1].lower() + sentence[1:].rstrip(".")


def _about_file(error: OSError) -> str:
    name = f" {error.filename}" if error.filename else ""
    return f"the operating system refused{name}: {(error.strerror or str(error)).lower()}"


def _about_us() -> str:
    """Keep the traceback in a file, and say where."""
    kind, value, _ = sys.exc_info()
    fault = f"{getattr(kind, '__name__', 'error')}: {value}".splitlines()[0][:200]
    text = f"{datetime.now().astimezone().isoformat()}\n{sys.argv}\n{traceback.format_exc()}"
    try:
        handle, path = tempfile.mkstemp(prefix="wellposed-", suffix=".log")
        with os.fdopen(handle, "w") as file:
            file.write(text)
    except OSError:
        path = "nowhere, since no temporary file could be written"
    return f"this is a fault of wellposed, not yours: {fault} (details in {path})"


def _terminate(number: int, frame: FrameType | None) -> None:
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
