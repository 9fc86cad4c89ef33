"""Errors are sentences: found, right, try."""

import re
from pathlib import Path

import pytest

from wellposed import errors
from wellposed.errors import (
    ArgumentError,
    Interrupted,
    NotFiniteError,
    UnknownNameError,
    WellposedError,
    first_line,
    in_a_line,
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


@pytest.mark.parametrize(
    ("error", "line", "named"),
    [
        (ValueError("x is 3"), "x is 3", "ValueError: x is 3"),
        (RuntimeError("\n  a\nb"), "a", "RuntimeError: a"),
        (AssertionError(), "AssertionError", "AssertionError"),
        (RuntimeError(" \n"), "RuntimeError", "RuntimeError"),
        (OSError("x" * 200), "x" * 200, "OSError: " + "x" * 200),
        (OSError("x" * 201), "x" * 197 + "...", "OSError: " + "x" * 197 + "..."),
        (ArgumentError("x" * 300), "x" * 300, "ArgumentError: " + "x" * 300),
    ],
)
def test_an_error_in_a_line(error, line, named):
    assert first_line(error) == line
    assert in_a_line(error) == named


def test_the_first_line_of_an_error_is_taken_in_one_place():
    source = Path(errors.__file__).parent
    own = re.compile(r"(str\(error\)|\{error\}\")[^\n]*splitlines")
    taken = [p.name for p in source.rglob("*.py") if own.search(p.read_text())]
    assert taken == ["errors.py"]
