"""Strict JSON: what is written, every JSON parser in the world can read, bit by bit the same.

Floats are written by `repr`, so a finite one comes back with the same bits. JSON has no inf and no
nan; they are written as the strings "inf", "-inf" and "nan", which `float()` understands.
"""

import json
import math
from pathlib import PurePath
from typing import Any

from wellposed.errors import ArgumentError, RunFolderError

LIMIT = 64 * 2**20
"""No JSON document of a run is larger (bytes); a larger one is refused before it is read."""


def dumps(value: Any, *, indent: int | None = None) -> str:
    """Strict JSON for `value`: dicts, lists, tuples, strings, numbers, paths, zero-dim arrays.

    Raises `ArgumentError` if something in `value` has no JSON form.
    """
    separators = (",", ":") if indent is None else (",", ": ")
    return json.dumps(_plain(value), indent=indent, separators=separators, allow_nan=False)


def loads(text: str | bytes, where: str) -> Any:
    """The value of a strict JSON document.

    Args:
        text: The document.
        where: What it is called in an error.

    Raises:
        RunFolderError: If it is not strict JSON (cut off, NaN tokens, a key twice, not UTF-8).
    """
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:  # json's and Unicode's errors are ValueErrors
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise RunFolderError(
            f"{where} is damaged: {reason}; restore it from a copy, or run again"
        ) from error


def _plain(value: Any) -> Any:
    """`value` in terms of what JSON knows."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else repr(float(value))
    if isinstance(value, str | PurePath):
        return str(value)
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        return _plain(value.item())  # a numpy number or a tensor with one
    raise ArgumentError(
        f"a {type(value).__name__} has no JSON form; give numbers, strings, lists or dicts of them"
    )


def _refuse_constant(token: str) -> float:
    """Raise for NaN and Infinity, which Python's parser would let pass."""
    raise ValueError(f"{token} is not JSON")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys are distinct; others would read two values for one key differently."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object names a key twice")
    return found
