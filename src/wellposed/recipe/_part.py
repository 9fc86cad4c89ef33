"""The pieces a recipe is made of: a name and the arguments of what it names."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Table = dict[str, Any]


class Frozen(BaseModel):
    """A table whose keys are all known and whose values do not change."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Part(Frozen):
    """A table such as `[optimizer]`: a name, and arguments for the constructor of that name.

    The arguments stand beside the name: `Part(name="sgd", lr=0.1)`. In TOML a bare string is a
    name without arguments.

    Args:
        name: A public name of the table's package, or `package.module:factory`.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    name: str = Field(min_length=1, max_length=200)

    @model_validator(mode="before")
    @classmethod
    def _spell_out(cls, table: Any) -> Any:
        return {"name": table} if isinstance(table, str) else table

    @property
    def arguments(self) -> Mapping[str, Any]:
        """What the constructor is given; its signature is the schema."""
        return self.model_extra or {}

    def table(self) -> Table:
        """As it stands in TOML."""
        return {"name": self.name, **self.arguments}


class Goal(Frozen):
    """`[goal]`: errors, as fractions, that the run must not exceed; missed, the exit code is 1.

    Args:
        test_error: At most this on the test part; of a race, by at least one method's mean.
        validation_error: The same on the validation part; of a single run only.
        train_error: The same on the training part; of a single run only.
    """

    test_error: float | None = Field(None, ge=0, le=1)
    validation_error: float | None = Field(None, ge=0, le=1)
    train_error: float | None = Field(None, ge=0, le=1)

    def limits(self) -> dict[str, float]:
        """The parts that have a limit: `{"test": 0.05}`."""
        return {key.removesuffix("_error"): v for key, v in self if v is not None}


class Method(Frozen):
    """`[compare.methods.NAME]`: the tables in which a method differs from the base recipe.

    `train` is merged key by key; every other table replaces that of the base.
    """

    model: Part | None = None
    init: Part | None = None
    loss: Part | None = None
    regularizer: tuple[Part, ...] | None = None
    optimizer: Part | None = None
    schedule: tuple[Part, ...] | None = None
    augment: tuple[Part, ...] | None = None
    train: Mapping[str, Any] | None = None


class Compare(Frozen):
    """`[compare]`: the same job by several methods, once per seed.

    Args:
        seeds: One run of each method per seed. The seed fixes split, initial weights and order
            of batches, so the methods meet the same conditions.
        methods: Name of each method, and how it differs from the base recipe.
    """

    seeds: tuple[int, ...] = Field((0, 1, 2), min_length=1, max_length=1000)
    methods: Mapping[str, Method] = Field(default_factory=dict, max_length=100)

    @field_validator("seeds")
    @classmethod
    def _check_seeds(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) != len(seeds):
            raise ValueError(f"holds a seed twice: {list(seeds)}; give each seed once")
        if wrong := [seed for seed in seeds if not 0 <= seed < 2**32]:
            raise ValueError(f"holds {wrong[0]}; a seed is at least 0 and below 2**32")
        return seeds

    @field_validator("methods")
    @classmethod
    def _check_names(cls, methods: Mapping[str, Method]) -> Mapping[str, Method]:
        for name in methods:  # a method's name becomes a folder's
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_+-]{0,39}", name):
                raise ValueError(
                    f"has a method called {name!r}; a method's name is 1 to 40 letters, digits, "
                    "'-', '_' or '+', and becomes a folder"
                )
        folded = [name.casefold() for name in methods]
        if len(set(folded)) != len(folded):
            raise ValueError("has two method names that differ only in case; they share a folder")
        return methods


def plain(value: Any) -> Any:
    """The TOML tables of a `Frozen` value: dicts, lists and scalars, without what is None."""
    if isinstance(value, Part):
        return value.table()
    if isinstance(value, Frozen):
        return {key: plain(item) for key, item in value if item is not None}
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value
