"""Type errors of pydantic, re-said as one sentence with the place of the key."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from wellposed.errors import nearest
from wellposed.recipe._origin import Origin, Path, dotted

_SHOULD = {
    "bool_parsing": "true or false", "bool_type": "true or false",
    "dict_type": "a table", "model_type": "a table", "model_attributes_type": "a table",
    "float_parsing": "a number", "float_type": "a number",
    "int_from_float": "a whole number", "int_parsing": "a whole number",
    "int_type": "a whole number",
    "list_type": "a list", "tuple_type": "a list", "set_type": "a list",
    "path_type": "a path, in quotes",
    "string_type": "a string",
    "string_too_long": "shorter", "too_long": "shorter",
    "string_too_short": "a string that is not empty", "too_short": "a list that is not empty",
}  # fmt: skip


def sentence(error: ValidationError, model: type[BaseModel], origin: Origin) -> str:
    """The first fault of a recipe: where, what was found, what would be right."""
    fault = error.errors(include_url=False)[0]
    path: Path = tuple(fault["loc"])
    where = f"{origin.at(path)}: "
    if fault["type"] == "missing":
        return where + _missing(path)
    if fault["type"] == "extra_forbidden":
        known = _fields(model, path[:-1])
        inside = f" in [{dotted(path[:-1])}]" if path[:-1] else ""
        return f"{where}no key {path[-1]!r} is known{inside}; {nearest(str(path[-1]), known)}"
    if fault["type"] == "value_error":
        return f"{where}{dotted(path)} {fault['ctx']['error']}"
    return f"{where}{dotted(path)} is {shown(fault['input'])}; it should be {should([fault])}"


def should(faults: Iterable[Mapping[str, Any]]) -> str:
    """What would have been right, of all alternatives that were tried: "a number or a list"."""
    found: dict[str, None] = {}
    for fault in faults:
        if fault["type"] in {"literal_error", "enum"}:
            found[f"one of {fault['ctx']['expected']}"] = None
        elif fault["type"] in {"missing", "missing_argument", "unexpected_positional_argument"}:
            found["of another length"] = None
        elif fault["type"] in {"none_required", "needs_python_object"}:
            continue  # TOML has no None, and no tensors
        else:
            words = _SHOULD.get(fault["type"]) or _rest(fault["msg"])
            found.setdefault(words)
    return " or ".join(found) or "left out: it cannot be written in a recipe"


def shown(value: Any) -> str:
    """A value as the user wrote it, near enough, and short."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return repr(value if len(value) <= 60 else value[:57] + "...")
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, Sequence):
        return f"a list of {len(value)}"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _rest(message: str) -> str:
    """Pydantic's "Input should be greater than 0" without its subject."""
    return message.removeprefix("Input should be ").removeprefix("Value should ").lower()


def _missing(path: Path) -> str:
    if path[-1] == "name":
        return f"[{dotted(path[:-1])}] has no name; say which, such as name = ..."
    return (
        f"[{path[-1]}] is missing; it names what to use, and `wellposed recipe` prints an example"
    )


def _fields(model: Any, path: Path) -> Sequence[str]:
    """The keys known in the table at `path`."""
    for key in path:
        if isinstance(key, str) and key in getattr(model, "model_fields", {}):
            model = model.model_fields[key].annotation
        model = _inner(model)
    return tuple(getattr(model, "model_fields", ()))


def _inner(annotation: Any) -> Any:
    """The model inside an annotation such as `Compare | None` or `Mapping[str, Method]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_inner(argument) for argument in get_args(annotation))
    return next((found for found in inner if found is not None), None)
