from typing import Annotated

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from wellposed.cli._many_numbers import ManyNumbers, _repeated

NUMBER = st.floats().map(str)
OTHER = st.sampled_from(["runs/mine", "--norm", "l2", "--", "-x", "nano", "--epsilon"])


def asked(*arguments):
    app, seen = typer.Typer(rich_markup_mode=None), []

    @app.command(cls=ManyNumbers)
    def ask(
        run: str,
        eps: Annotated[list[float] | None, typer.Option(metavar="EPS...")] = None,
        word: list[str] | None = None,
        seed: int = 0,
    ):
        seen.append((run, eps or [], word or [], seed))

    found = CliRunner().invoke(app, list(arguments))
    return seen[0] if found.exit_code == 0 else found.output


@pytest.mark.parametrize(
    "arguments",
    [
        ("mine", "--eps", "0.1", "0.2", "1e-3"),
        ("mine", "--eps", "0.1", "--eps", "0.2", "--eps=1e-3"),
        ("mine", "--eps=0.1", "0.2", "1e-3"),
        ("--eps", "0.1", "mine", "--eps", "0.2", "1e-3"),
        ("--eps", "0.1", "0.2", "1e-3", "mine"),
    ],
)
def test_an_option_takes_the_numbers_that_follow(arguments):
    assert asked(*arguments) == ("mine", [0.1, 0.2, 0.001], [], 0)


def test_other_options_and_arguments_take_what_they_did():
    assert asked("mine", "--eps", "0.1", "0.2", "--seed", "3") == ("mine", [0.1, 0.2], [], 3)
    assert asked("7", "--word", "1", "--eps", "-2") == ("7", [-2.0], ["1"], 0)
    assert "unexpected extra argument" in asked("mine", "--word", "a", "b")
    assert "unexpected extra argument" in asked("mine", "--seed", "3", "4")


def test_what_is_no_number_is_refused_as_before():
    assert "Missing argument" in asked("--eps", "0.1", "0.2")
    assert "valid number" in asked("mine", "--eps", "much")
    assert "requires an argument" in asked("mine", "--eps")


@given(st.lists(st.one_of(NUMBER, OTHER, st.just("--eps"))))
def test_the_arguments_stay_in_order_and_a_name_is_led_by_no_other(arguments):
    found = list(_repeated(arguments, {"--eps"}))
    rest = iter(found)
    assert all(argument in rest for argument in arguments)  # a subsequence
    assert list(_repeated(found, {"--eps"})) == found
