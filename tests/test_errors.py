"""Errors are sentences: found, right, try."""

import pytest

from wellposed import errors
from wellposed.errors import (
    ArgumentError,
    Interrupted,
    NotFiniteError,
    UnknownNameError,
    WellposedError,
    nearest,
    require,
)


@pytest.mark.parametrize(
    ("ours", "builtin"),
    [
        ("ArgumentError", ValueError),
        ("RecipeError", ValueError),
        ("DataError", ValueError),
        ("UnknownNameError", LookupError),
        ("NotFiniteError", ArithmeticError),
        ("RunFolderError", OSError),
        ("Interrupted", Exception),
    ],
)
def test_each_error_is_ours_and_the_builtin_kind(ours, builtin):
    kind = getattr(errors, ours)
    assert issubclass(kind, WellposedError)
    assert issubclass(kind, builtin)
    assert ours in errors.__doc__


def test_unknown_name_offers_the_nearest():
    error = UnknownNameError("model", "lennet", ["LeNet", "MLP"])
    assert str(error) == "no model is called 'lennet'; did you mean 'LeNet'?"


@pytest.mark.parametrize(
    ("name", "known", "said"),
    [
        ("zzz", ["b", "a"], "known are a, b"),
        ("zzz", [], "none is known"),
        ("ADAM", ["Adam", "AdamW"], "did you mean 'Adam' or 'AdamW'?"),
    ],
)
def test_nearest(name, known, said):
    assert nearest(name, known) == said


def test_not_finite_says_where_and_what_to_try():
    error = NotFiniteError(
        412, float("nan"), last=2.3, culprit="gradient of conv", remedy="lr=0.02"
    )
    assert str(error).splitlines() == [
        "the loss became nan at step 412 (last finite value 2.3)",
        "  first seen in  gradient of conv",
        "  try            lr=0.02",
    ]
    assert error.step == 412


def test_interrupted_keeps_the_signal():
    error = Interrupted(15, "wellposed resume runs/x")
    assert error.signal == 15
    assert "wellposed resume runs/x" in str(error)


def test_require():
    require(True, "never said")
    with pytest.raises(ArgumentError, match="lr > 0, got lr=-1"):
        require(False, "SGD needs lr > 0, got lr=-1")
