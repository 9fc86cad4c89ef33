"""`--set key=value`: single values of a recipe replaced from the command line."""

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from wellposed.errors import RecipeError
from wellposed.recipe._origin import Origin, Path, dotted
from wellposed.recipe._toml import parse_value

_LISTS = frozenset({"augment", "regularizer", "schedule"})  # lists of tables


def apply(
    tables: Mapping[str, Any], settings: Iterable[str], origin: Origin
) -> tuple[dict[str, Any], Origin]:
    """The tables and the origin after all settings, in their order.

    Raises:
        RecipeError: If a setting is not `key=value`, or its key leads through a plain value.
    """
    changed: dict[str, Any] = copy.deepcopy(dict(tables))
    for setting in settings:
        key, equals, text = setting.partition("=")
        place = f"--set {setting if len(setting) < 100 else setting[:97] + '...'}"
        if not equals or not all(part.strip() for part in key.split(".")):
            raise RecipeError(f"{place}: a setting reads key=value, such as optimizer.lr=0.1")
        value = parse_value(text.strip(), place)
        path = _set(changed, [part.strip() for part in key.split(".")], value, place)
        origin = origin.replaced({path: place})
    return changed, origin


def _set(tables: dict[str, Any], keys: list[str], value: Any, place: str) -> Path:
    at: Any = tables
    path: Path = ()
    for remaining, key in zip(range(len(keys) - 1, -1, -1), keys, strict=True):
        if not isinstance(at, dict | list):
            raise RecipeError(f"{place}: {dotted(path)} is {at!r}, not a table")
        step = _index(key, at, path, place) if isinstance(at, list) else key
        path = (*path, step)
        if isinstance(at, list) and step == len(at):
            at.append({})
        if remaining:
            at = _enter(at, step)
        else:
            at[step] = value
    return path


def _enter(at: Any, step: str | int) -> Any:
    """What stands under a key, made if absent."""
    if isinstance(at, dict):
        at.setdefault(step, [] if step in _LISTS else {})
    if isinstance(at[step], str):  # optimizer = "sgd" is short for a table
        at[step] = {"name": at[step]}
    return at[step]


def _index(key: str, items: list[Any], path: Path, place: str) -> int:
    if not key.isascii() or not key.isdigit() or len(key) > 6 or int(key) > len(items):
        most = len(items)
        raise RecipeError(
            f"{place}: {dotted(path)} is a list; after it comes a number from 0 to {most} "
            f"({most} adds one), not {key!r}"
        )
    return int(key)
