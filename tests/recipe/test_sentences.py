import pytest

from wellposed.recipe._sentences import should, shown


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (True, "true"),
        ("a", "'a'"),
        ("a" * 100, "'" + "a" * 57 + "...'"),
        ({"a": 1}, "a table"),
        ([1, 2], "a list of 2"),
        (0.1, "0.1"),
        (3, "3"),
    ],
)
def test_values_are_shown_short_and_as_toml(value, words):
    assert shown(value) == words


def test_alternatives_are_joined_once():
    faults = [
        {"type": "float_type"},
        {"type": "float_type"},
        {"type": "none_required"},
        {"type": "greater_than", "msg": "Input should be greater than 0"},
        {"type": "enum", "ctx": {"expected": "'a' or 'b'"}},
    ]
    assert should(faults) == "a number or greater than 0 or one of 'a' or 'b'"
