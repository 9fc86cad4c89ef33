"""Recipe text: TOML from strangers, read within bounds, each key's line remembered."""

import math
import re
import tomllib
from collections.abc import Iterator
from typing import Any

from wellposed.errors import RecipeError
from wellposed.recipe._origin import Path, dotted, locate

MOST_BYTES = 64 * 1024
MOST_CHARACTERS_PER_LINE = 4096  # tomllib's time grows with the square of a dotted key's length
MOST_LEVELS = 12


def parse(text: str, origin: str) -> dict[str, Any]:
    """The tables in `text`.

    Args:
        text: TOML, at most 64 KiB, lines of at most 4096 characters, at most 12 levels deep.
        origin: What to call the text in messages, usually the file's name.

    Raises:
        RecipeError: If it is not TOML, is larger or deeper than any recipe needs, or holds what
            no recipe holds: dates, infinities, nan.
    """
    if len(text.encode(errors="replace")) > MOST_BYTES:
        raise RecipeError(f"{origin} is larger than {MOST_BYTES // 1024} KiB; no recipe needs that")
    for number, line in enumerate(text.splitlines(), 1):
        if len(line) > MOST_CHARACTERS_PER_LINE:
            raise RecipeError(
                f"{origin}:{number} has {len(line)} characters in one line; "
                f"at most {MOST_CHARACTERS_PER_LINE} are read"
            )
    try:
        tables = tomllib.loads(text)
    except RecursionError:
        raise RecipeError(f"{origin} nests deeper than {MOST_LEVELS} levels") from None
    except ValueError as error:
        raise RecipeError(f"{origin} is not TOML: {_with_line(error, origin)}") from None
    for path, value in _leaves(tables, origin):
        if fault := _fault(value):
            raise RecipeError(f"{locate(text, origin).at(path)}: {dotted(path)} {fault}")
    return tables


def parse_value(text: str, origin: str) -> Any:
    """One TOML value; a bare word is a string: `0.1`, `true`, `[1, 2]`, `{name = "sgd"}`, `lenet`.

    Raises:
        RecipeError: If it is neither.
    """
    if re.fullmatch(r"[^\s\"'\[\]{}#=,]+", text) and not _is_toml(text):
        return text
    tables = parse(f"value = {text}", origin)
    if tables.keys() != {"value"}:
        raise RecipeError(f"{origin} holds more than one value; give one --set for each key")
    return tables["value"]


def _is_toml(text: str) -> bool:
    try:
        tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return False
    return True


def _with_line(error: ValueError, origin: str) -> str:
    message = str(error)
    if found := re.search(r" \(at line (\d+), column (\d+)\)$", message):
        place = f"{origin}:{found[1]}, column {found[2]}"
        return f"{message[: found.start()].lower()} ({place})"
    return message.lower()


def _leaves(tables: dict[str, Any], origin: str) -> Iterator[tuple[Path, Any]]:
    waiting: list[tuple[Path, Any]] = [((), tables)]  # a list, not recursion: depth is hostile
    while waiting:
        path, value = waiting.pop()
        if len(path) > MOST_LEVELS:
            raise RecipeError(f"{origin} nests deeper than {MOST_LEVELS} levels")
        if isinstance(value, dict):
            waiting += [((*path, key), item) for key, item in value.items()]
        elif isinstance(value, list):
            waiting += [((*path, index), item) for index, item in enumerate(value)]
        else:
            yield path, value


def _fault(value: object) -> str:
    """What is wrong with a plain value, or nothing."""
    if not isinstance(value, bool | int | float | str):
        return f"is a {type(value).__name__}; a recipe holds numbers, strings, true and false"
    if isinstance(value, float) and not math.isfinite(value):
        return f"is {value}; a recipe holds finite numbers"
    if isinstance(value, int) and abs(value) >= 2**63:
        return "does not fit into 64 bits"
    return ""
