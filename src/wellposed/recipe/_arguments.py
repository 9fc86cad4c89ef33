"""Arguments from a recipe, checked against the signature of what they are for."""

import functools
import inspect
import json
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError

from wellposed.errors import DataError, NotFiniteError, RecipeError, first_line, nearest
from wellposed.recipe._origin import Origin, Path, dotted
from wellposed.recipe._sentences import should, shown


@dataclass(frozen=True)
class Call:
    """A constructor and the arguments a recipe gives it; calling it adds what only `build` has.

    Args:
        make: Class or function.
        arguments: Checked and converted values.
        origin: Where they were written.
        path: Of the table they came from.
    """

    make: Callable[..., Any]
    arguments: Mapping[str, Any]
    origin: Origin
    path: Path

    def __call__(self, *first: Any, **provided: Any) -> Any:
        """The object; of what is provided, it is given what its signature asks for.

        Raises:
            RecipeError: If the constructor refuses; its sentence with the place of the key.
        """
        asked = signature(self.make)
        given = {key: v for key, v in provided.items() if accepts(asked, key)}
        try:
            return self.make(*first, **{**given, **self.arguments})
        except (DataError, NotFiniteError):  # not the recipe's fault
            raise
        except Exception as error:  # torch and users' factories raise all kinds
            fault = first_line(error)
            raise RecipeError(f"{self._place(fault)}: {fault}") from error

    def _place(self, fault: str) -> str:
        """Of the argument that the constructor's sentence mentions, or of the table."""
        words = set(re.findall(r"\w+", fault))
        mentioned = [key for key in self.arguments if key in words]
        path = (*self.path, mentioned[0]) if mentioned else self.path
        return f"{self.origin.at(path)}: [{dotted(self.path)}]"


def bind(
    make: Callable[..., Any],
    arguments: Mapping[str, Any],
    *,
    origin: Origin,
    path: Path,
    provided: tuple[str, ...] = (),
    filled: tuple[str, ...] = (),
) -> Call:
    """Check arguments against a signature: known, complete, of the right type.

    Args:
        make: Class or function; its signature is the schema.
        arguments: From TOML.
        origin: Where they were written.
        path: Of the table they came from.
        provided: Parameters that `build` gives, which a recipe may not.
        filled: Parameters that `build` gives where the recipe does not.

    Raises:
        RecipeError: If one is unknown, missing or of the wrong type.
    """
    asked = signature(make)
    name = getattr(make, "__name__", str(make))
    known = [key for key in asked if key not in provided and not _is_rest(asked[key])]
    checked = {}
    for key, value in arguments.items():
        place = origin.at((*path, key))
        if key not in known and (key in provided or not accepts(asked, key)):
            raise RecipeError(f"{place}: {name} has no argument {key!r}; {nearest(key, known)}")
        if key in asked:
            try:
                checked[key] = convert(value, asked[key].annotation)
            except TypeError as error:
                raise RecipeError(f"{place}: {dotted((*path, key))} {error}") from None
        else:
            checked[key] = value
    missing = [
        key
        for key in known
        if asked[key].default is inspect.Parameter.empty and key not in (*checked, *filled)
    ]
    if missing:
        raise RecipeError(
            f"{origin.at(path)}: {name} needs {' and '.join(missing)}; "
            f"add {missing[0]} = ... to [{dotted(path)}]"
        )
    return Call(make, checked, origin, path)


def convert(value: Any, annotation: Any) -> Any:
    """The TOML value as the annotated type: a list as a tuple, a string as a path or an enum.

    Raises:
        TypeError: If it cannot be one, with half a sentence: "is 'fast'; it should be a number".
    """
    adapter = _adapter(annotation)
    if adapter is None:
        return value
    try:
        return adapter.validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        faults = error.errors(include_url=False)
        raise TypeError(f"is {shown(value)}; it should be {should(faults)}") from None


def signature(make: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """The parameters of a class or function; nothing known of builtins."""
    try:
        return inspect.signature(make, eval_str=True).parameters
    except (NameError, TypeError, SyntaxError, AttributeError):  # an annotation cannot be read
        return inspect.signature(make).parameters
    except ValueError:  # a builtin without a signature
        return {}


def accepts(asked: Mapping[str, inspect.Parameter], key: str) -> bool:
    """Whether a call may give `key` by name."""
    rest = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in asked.values())
    return key in asked or rest


def _is_rest(parameter: inspect.Parameter) -> bool:
    return parameter.kind in {inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL}


@functools.lru_cache(maxsize=1024)
def _adapter(annotation: Any) -> Any:
    """What checks values of this type; None where the annotation says nothing of use."""
    if annotation is inspect.Parameter.empty or isinstance(annotation, str):
        return None
    try:
        with warnings.catch_warnings(action="ignore"):  # what is no type is not checked
            return TypeAdapter(annotation, config=ConfigDict(arbitrary_types_allowed=True))
    except (PydanticUserError, TypeError, NameError):  # not a type pydantic can read
        return None
