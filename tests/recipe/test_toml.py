import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellposed.errors import RecipeError
from wellposed.recipe._toml import parse, parse_value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a = [", r"^r\.toml is not TOML: invalid value \(at end of document\)$"),
        ("a = 1\nb == 2", r"r\.toml:2, column 4"),
        ("a = 1\na = 2", "cannot overwrite"),
        ("x" * 5000, "r.toml:1 has 5000 characters in one line"),
        ("# \n" * 40_000, "larger than 64 KiB"),
        ("a = " + "[" * 1500 + "]" * 1500, "nests deeper than 12 levels"),
        ("a = " + "[" * 20 + "1" + "]" * 20, "nests deeper than 12 levels"),
        ("a" + ".a" * 20 + " = 1", "nests deeper than 12 levels"),
        ("a = " + "{a = " * 600 + "1" + "}" * 600, "nests deeper than 12 levels"),
        ("a = " + "9" * 4000, r"r\.toml:1: a does not fit into 64 bits"),
        ("a = " + "1_" * 2000 + "1", "does not fit into 64 bits"),
        ("a = 1\n\nb = nan", r"^r\.toml:3: b is nan; a recipe holds finite numbers"),
        ("[a]\nb = [1, -inf]", r"^r\.toml:2: a\.b\.1 is -inf"),
        ("a = 1979-05-27", "a is a date; a recipe holds numbers"),
        ("a = 07:32:00", "a is a time;"),
        ("\0", "is not TOML"),
    ],
)
def test_what_no_recipe_holds_is_one_sentence(text, words):
    with pytest.raises(RecipeError, match=words) as caught:
        parse(text, "r.toml")
    assert "\n" not in str(caught.value)


def test_thousands_of_digits_are_refused():
    with pytest.raises(RecipeError, match="does not fit into 64 bits"):
        parse("a = 0x" + "f" * 4000, "r.toml")


def test_a_hostile_dotted_key_takes_no_time():
    text = "\n".join("k" + str(n) + ".a" * 2000 + " = 1" for n in range(15))
    begin = time.process_time()
    with pytest.raises(RecipeError):
        parse(text, "r.toml")
    assert time.process_time() - begin < 10  # without the limit per line: minutes


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_with_a_sentence(text):
    fault = ""
    try:
        found = parse(text, "r.toml")
    except RecipeError as error:
        found, fault = {}, str(error)
    assert isinstance(found, dict)
    assert not fault or fault.startswith("r.toml")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.1", 0.1),
        ("1e-4", 1e-4),
        ("3", 3),
        ("true", True),
        ("lenet", "lenet"),
        ("fashion-mnist", "fashion-mnist"),
        ("pkg.mod:make", "pkg.mod:make"),
        ("/data/photos", "/data/photos"),
        ('"3"', "3"),
        ("[1, 2]", [1, 2]),
        ('{name = "sgd", lr = 0.1}', {"name": "sgd", "lr": 0.1}),
    ],
)
def test_values_are_toml_and_bare_words_strings(text, value):
    found = parse_value(text, "--set")
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("text", ["", "two words", "[1", "{", "1 = 2", "nan", "inf", "2020-01-01"])
def test_other_values_are_refused(text):
    with pytest.raises(RecipeError):
        parse_value(text, "--set a")


def test_two_values_at_once_are_refused():
    with pytest.raises(RecipeError, match="more than one value"):
        parse_value("1\nother = 2", "--set a")
