from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Literal

import pytest
import torch

from wellposed.errors import NotFiniteError, RecipeError, require
from wellposed.recipe._arguments import bind, convert, signature
from wellposed.recipe._origin import locate

ORIGIN = locate("[part]\nlr = 1\nwidths = 2\n", "r.toml")


class Unreadable:
    """A type whose schema pydantic cannot make."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source, handler):
        raise TypeError


class Color(Enum):
    RED = "red"


@dataclass(frozen=True)
class Thing:
    lr: float
    widths: tuple[int, ...] = (1,)
    color: Color = Color.RED
    path: Path | None = None

    def __post_init__(self):
        require(self.lr > 0, f"Thing needs lr > 0, got lr={self.lr:g}; try 0.1")


def bound(make, provided=(), **arguments):
    return bind(make, arguments, origin=ORIGIN, path=("part",), provided=provided)


def test_values_become_what_the_signature_says():
    thing = bound(Thing, lr=1, widths=[2, 3], color="red", path="a/b")()
    assert thing == Thing(1.0, (2, 3), Color.RED, Path("a/b"))


@pytest.mark.parametrize(
    ("annotation", "value", "words"),
    [
        (float, "fast", "is 'fast'; it should be a number"),
        (float, True, "is true; it should be a number"),
        (float | None, "fast", "is 'fast'; it should be a number"),
        (int, 1.5, "is 1.5; it should be a whole number"),
        (bool, 1, "is 1; it should be true or false"),
        (str, 3, "is 3; it should be a string"),
        (tuple[int, ...], 3, "is 3; it should be a list"),
        (tuple[float, float], [0.9], "is a list of 1; it should be of another length"),
        (tuple[int, ...], ["a"], "is a list of 1; it should be a whole number"),
        (float | tuple[float, ...], {}, "is a table; it should be a number or a list"),
        (Literal["a", "b"], "c", "is 'c'; it should be one of 'a' or 'b'"),
        (Color, "blue", "is 'blue'; it should be one of 'red'"),
        (dict[str, int], [1], "is a list of 1; it should be a table"),
        (float | torch.Tensor, "x" * 99, r"\.\.\.'; it should be a number$"),
        (torch.Tensor, 1, "is 1; it should be left out: it cannot be written"),
        (None, 1, "is 1; it should be left out"),
    ],
)  # fmt: skip
def test_a_wrong_type_is_half_a_sentence(annotation, value, words):
    with pytest.raises(TypeError, match=words):
        convert(value, annotation)


@pytest.mark.parametrize("annotation", ["Unknown", signature(bound)["make"].empty, 3, Unreadable])
def test_what_cannot_be_checked_passes(annotation):
    assert convert([1], annotation) == [1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            {"lr": 1, "width": 2},
            r"^r\.toml:1: Thing has no argument 'width'; did you mean 'widths'",
        ),
        ({"lr": "a"}, r"^r\.toml:2: part\.lr is 'a'; it should be a number$"),
        ({}, r"^r\.toml:1: Thing needs lr; add lr = \.\.\. to \[part\]$"),
    ],
)
def test_arguments_are_those_of_the_signature(arguments, words):
    with pytest.raises(RecipeError, match=words):
        bound(Thing, **arguments)


def test_what_build_provides_cannot_be_set():
    with pytest.raises(RecipeError, match="Thing has no argument 'lr'; known are color, path"):
        bound(Thing, provided=("lr", "widths"), lr=1)


def test_a_refusal_of_the_constructor_names_table_and_line():
    with pytest.raises(
        RecipeError, match=r"^r\.toml:2: \[part\]: Thing needs lr > 0, got lr=-1; try 0\.1$"
    ):
        bound(Thing, lr=-1)()


def test_a_refusal_that_mentions_no_argument_names_the_table():
    def silent(lr):
        raise ValueError

    with pytest.raises(RecipeError, match=r"^r\.toml:1: \[part\]: ValueError$"):
        bound(silent, lr=1)()


def test_a_loss_of_the_reals_is_not_the_recipe_s_fault():
    def blow(lr):
        raise NotFiniteError(1, float("nan"), last=1.0, culprit="x", remedy="y")

    with pytest.raises(NotFiniteError):
        bound(blow, lr=1)()


def test_only_what_is_asked_for_is_provided():
    def asks(width=1, *, shape):
        return width, shape

    def asks_all(**rest):
        return rest

    provided = ("shape", "classes")
    assert bound(asks, provided, width=2)(shape=(1,), classes=3) == (2, (1,))
    assert bound(asks_all, provided, a=1)(shape=(1,), classes=3) == {
        "shape": (1,),
        "classes": 3,
        "a": 1,
    }


def test_builtins_and_unreadable_annotations_are_taken_as_they_are():
    def odd(a: "NoSuchType" = 1):  # noqa: F821 - the point
        return a

    assert bound(odd, a="x")() == "x"
    assert signature(dict) == {}


def test_torch_optimizers_are_checked_by_their_own_signature():
    weight = torch.nn.Parameter(torch.zeros(1))
    call = bind(
        torch.optim.Adam, {"lr": 1e-3, "betas": [0.9, 0.99]}, origin=ORIGIN, path=("part",),
        provided=("params",),
    )  # fmt: skip
    assert call([weight]).param_groups[0]["betas"] == (0.9, 0.99)
    bad = bind(torch.optim.Adam, {"lr": -1.0}, origin=ORIGIN, path=("part",), provided=("params",))
    with pytest.raises(RecipeError, match=r"\[part\]: Invalid learning rate: -1"):
        bad([weight])
