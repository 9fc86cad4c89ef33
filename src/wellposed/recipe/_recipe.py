"""The recipe: a TOML file that says everything about a run, as a frozen value."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import Field, PrivateAttr, ValidationError

from wellposed.errors import RecipeError
from wellposed.recipe._origin import Origin, locate
from wellposed.recipe._override import apply
from wellposed.recipe._part import Compare, Frozen, Goal, Part, plain
from wellposed.recipe._presets import preset, presets
from wellposed.recipe._sentences import sentence
from wellposed.recipe._toml import MOST_BYTES, parse


class Recipe(Frozen):
    """Everything a run depends on, except the data themselves and the machine.

    Only names and numbers: `build` turns it into objects, `read` and `to_toml` into text and
    back. Two recipes are equal if they say the same, wherever they were written.

    Args:
        seed: Of the split, the initial weights, the order of batches and the noise; 0 <= seed
            < 2**32.
        data: Source of the examples, with arguments of its own and of `wellposed.data.load`.
        augment: Augmentations in order of application.
        model: The network f.
        init: Where its weights start.
        loss: The surrogate that is minimised.
        regularizer: Penalties, which are added.
        optimizer: The method.
        schedule: Schedules of the step size or of another key of the optimizer's groups.
        train: Fields of `wellposed.train.Plan`.
        goal: Errors that must be reached.
        compare: Methods and seeds; with it the recipe is a race.
    """

    seed: int = Field(0, ge=0, lt=2**32)
    data: Part
    augment: tuple[Part, ...] = ()
    model: Part
    init: Part = Part(name="default")
    loss: Part = Part(name="crossentropy")
    regularizer: tuple[Part, ...] = ()
    optimizer: Part
    schedule: tuple[Part, ...] = ()
    train: Mapping[str, Any] = Field(default_factory=dict)
    goal: Goal | None = None
    compare: Compare | None = None
    _origin: Origin = PrivateAttr(default_factory=Origin)

    @property
    def origin(self) -> Origin:
        """Where each key was written."""
        return self._origin

    @property
    def own_code(self) -> tuple[str, ...]:
        """The objects `package.module:factory` that it names, whose code building it runs."""
        return tuple(dict.fromkeys(_references(self.tables())))

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> "Recipe":
        """The recipe in a TOML file, or the preset of that name.

        Raises `RecipeError` if there is no such file or preset, or it is not a recipe.
        """
        text, name = _text(path)
        return cls.parse(text, name)

    @classmethod
    def parse(cls, text: str, name: str = "recipe") -> "Recipe":
        """The recipe in TOML text; `name` stands for the file in messages.

        Raises `RecipeError` if it is not a recipe.
        """
        return cls.from_tables(parse(text, name), locate(text, name))

    @classmethod
    def from_tables(cls, tables: Mapping[str, Any], origin: Origin | None = None) -> "Recipe":
        """The recipe that these tables say, as `tables` gives them back.

        Raises:
            RecipeError: If a key is unknown or a value has the wrong type.
        """
        origin = origin or Origin()
        try:
            recipe = cls.model_validate_json(json.dumps(dict(tables)), strict=True)
        except ValidationError as error:
            raise RecipeError(sentence(error, cls, origin)) from None
        recipe._origin = origin
        return recipe

    def override(self, settings: Iterable[str]) -> "Recipe":
        """A copy with `key=value` settings applied: `optimizer.lr=0.1`, `seed=3`, `model=mlp`.

        Values are TOML, bare words are strings; lists of tables are indexed from 0, and one past
        the last adds a table.

        Raises `RecipeError` if a setting cannot be read or leads to something that is not
        a recipe.
        """
        tables, origin = apply(self.tables(), settings, self._origin)
        return self.from_tables(tables, origin)

    def tables(self) -> dict[str, Any]:
        """As nested dicts and lists, ready for TOML; what is empty or None is left out."""
        found = plain(self)
        return {key: value for key, value in found.items() if value not in ([], {})}

    def to_toml(self) -> str:
        """As TOML that `parse` reads back to an equal recipe."""
        return tomli_w.dumps(self.tables())

    @property
    def methods(self) -> tuple[str, ...]:
        """Names of the methods of the race; one, named by its optimizer, if none is listed."""
        named = tuple(self.compare.methods) if self.compare else ()
        return named or (self.optimizer.name.rpartition(":")[2].lower(),)

    def run(self, method: str, seed: int) -> "Recipe":
        """The recipe of one run of the race: this method, this seed, no `[compare]`.

        Raises:
            RecipeError: If the race has no such method.
        """
        if method not in self.methods:
            raise RecipeError(f"no method is called {method!r}; known are {self.methods}")
        tables = self.tables() | {"seed": seed}
        compare = tables.pop("compare", {})
        changes = compare.get("methods", {}).get(method, {})
        train = {**tables.get("train", {}), **changes.get("train", {})}
        origin = self._origin.replaced(
            {
                path[3:]: place
                for path, place in self._origin.places.items()
                if path[:3] == ("compare", "methods", method) and len(path) > 3
            }
        )
        return self.from_tables({**tables, **changes, "train": train}, origin)


def _text(path: str | os.PathLike[str]) -> tuple[str, str]:
    file = Path(path)
    if isinstance(path, str) and path in presets():
        return preset(path), f"{path} (preset)"
    if file.suffix.lower() != ".toml" and len(file.parts) < 2 and not file.exists():
        return preset(str(path)), str(path)  # says which presets there are
    try:
        with file.open("rb") as stream:
            content = stream.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise RecipeError(
            f"cannot read the recipe {file}: {reason.lower()}; `wellposed recipe` prints one"
        ) from None
    if len(content) > MOST_BYTES:
        raise RecipeError(f"{file} is larger than {MOST_BYTES // 1024} KiB; no recipe needs that")
    try:
        return content.decode(), str(file)
    except UnicodeDecodeError:
        raise RecipeError(f"{file} is not text in UTF-8, so it is not a recipe") from None


def _references(value: Any, key: str = "") -> Iterator[str]:
    """Names with a colon, wherever a table can hold one."""
    if isinstance(value, str) and key in {"name", "base"} and ":" in value:
        yield value
    if isinstance(value, Mapping):
        for inner, item in value.items():
            yield from _references(item, inner)
    if isinstance(value, list):
        for item in value:
            yield from _references(item)
