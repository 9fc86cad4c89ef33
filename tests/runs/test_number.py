from math import inf, nan

import pytest

from wellposed.runs import interval_words, number_words


@pytest.mark.parametrize(
    ("value", "said"),
    [(1234.5, "1.23e+03"), (0.0, "0"), (inf, "infinite"), (-inf, "minus infinite"),
     (nan, "not a number")],
)  # fmt: skip
def test_a_number_without_digits_is_a_word(value, said):
    assert number_words(value) == said


def test_digits_are_those_that_were_asked_for():
    assert number_words(2.0, "+.1f") == "+2.0"
    assert interval_words(1.0, 2.0, ".1f") == "1.0, 2.0"


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (1, 2, "1, 2"),
        (1, inf, "at least 1"),
        (-inf, 2, "at most 2"),
        (-inf, inf, "no bounds"),
        (inf, inf, "infinite"),
        (3, 3, "3"),
        (nan, nan, "unknown"),
        (1, nan, "unknown"),
    ],
)
def test_ends_that_are_not_there_are_words(low, high, said):
    assert interval_words(low, high) == said
