"""Names become classes: the public names of a package are the registry."""

import importlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from wellposed.errors import RecipeError, UnknownNameError, in_a_line

T = TypeVar("T")


def public(package: ModuleType, kind: type[T]) -> dict[str, type[T]]:
    """The concrete subclasses of `kind` that the package exports, by their recipe names.

    A recipe name is the class's name in lower case without "-" and "_": `fashionmnist`.

    Raises:
        RecipeError: If two classes would answer to one name.
    """
    found: dict[str, type[T]] = {}
    for name, value in vars(package).items():
        if name.startswith("_") or not _is_concrete(value, kind):
            continue
        folded = fold(name)
        if found.setdefault(folded, value) is not value:
            raise RecipeError(
                f"{package.__name__} exports two classes that a recipe would call {folded!r}: "
                f"{found[folded].__name__} and {name}; rename one"
            )
    return found


def lookup(package: ModuleType, name: str, kind: type[T], word: str = "") -> type[T]:
    """The subclass of `kind` that `package` exports as `name`; case, "-" and "_" do not matter.

    Args:
        package: Whose public names are searched.
        name: As written in a recipe.
        kind: Base class.
        word: What to call the kind in a message; its name in lower case if empty.

    Raises:
        UnknownNameError: If there is none; the message offers the nearest ones.
    """
    known = public(package, kind)
    if fold(name) not in known:
        raise UnknownNameError(word or kind.__name__.lower(), name, known)
    return known[fold(name)]


def fold(name: str) -> str:
    """The form in which names are compared: `Fashion-MNIST` is `fashionmnist`."""
    return name.lower().replace("-", "").replace("_", "")


def imported(name: str) -> Callable[..., Any]:
    """The object that `package.module:factory` names; the current directory is searched as well.

    This runs the module's code: a recipe that names one is to be trusted as a program is.

    Raises:
        RecipeError: If it cannot be imported, or is not callable.
    """
    module_name, _, attribute = name.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    try:
        found: Any = importlib.import_module(module_name)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (Exception, SystemExit) as error:
        raise RecipeError(
            f"cannot import {name!r}: {in_a_line(error)}; the form is package.module:factory, "
            f"and {here} is searched too"
        ) from error
    if not callable(found):
        raise RecipeError(f"{name!r} is a {type(found).__name__}; it should be callable")
    return found  # type: ignore[no-any-return]


def _is_concrete(value: object, kind: type) -> bool:
    return (
        isinstance(value, type)
        and issubclass(value, kind)
        and value is not kind
        and not inspect.isabstract(value)
    )
