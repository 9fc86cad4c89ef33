import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellposed.report import _sentences as s


def readable(text):
    return text.replace(s.NARROW, " ").replace(s.SPACE, " ")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (999, "999"), (12345, "12 345"), (1e6, "1 000 000"), (None, "not known")],
    ids=range(5),
)
def test_count(value, text):
    assert readable(s.count(value)) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.01234, "0.0123"),
        (1.5, "1.50"),
        (4320.4, "4 320"),
        (1.234e-7, "1.23\u00b710\u207b\u2077"),
        (5e9, "5\u00b710\u2079"),
        (-2.5, "-2.50"),
        (math.inf, "inf"),
        (math.nan, "nan"),
        (None, "not known"),
    ],
    ids=range(10),
)
def test_plain(value, text):
    assert readable(s.plain(value)) == text


@pytest.mark.parametrize(
    ("half_width", "places"),
    [(12.0, 0), (2.0, 1), (0.14, 2), (0.014, 3), (150.0, 0), (0, 2), (None, 2), (math.nan, 2)],
    ids=range(8),
)
def test_interval_decides_the_digits(half_width, places):
    assert s.decimals(half_width) == places


@given(half_width=st.floats(1e-4, 1e4))
def test_at_least_two_digits_of_the_half_width_are_shown(half_width):
    assert float(f"{half_width:.{s.decimals(half_width)}f}") == pytest.approx(half_width, rel=0.05)


def test_percentages():
    assert readable(s.percent(0.0361)) == "3.6 %"
    assert readable(s.percent(0.5, 0)) == "50 %"
    assert s.percent(None) == s.UNKNOWN
    assert s.percent(math.nan) == "nan"
    assert readable(s.percent_interval((0.021, 0.061))) == "2.1 to 6.1 %"
    assert readable(s.percent_interval((-0.004, 0.05), 1)) == "\u22120.4 to 5.0 %"
    assert s.percent_interval(None) == s.UNKNOWN
    assert s.percent_interval((math.nan, 1)) == s.UNKNOWN
    assert s.percent_places(None) == 1


def test_differences_have_a_sign_and_no_minus_zero():
    assert s.points(0.004, 1) == "+0.4"
    assert s.points(-0.004, 1) == "\u22120.4"
    assert s.points(-0.00001, 1) == "0.0"
    assert s.points_interval((-0.012, 0.003)) == "\u22121.20 to +0.30"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.421, "0.42 s"),
        (8.71, "8.7 s"),
        (41.33, "41.3 s"),
        (125, "2 min 5 s"),
        (3599.6, "1 h 0 min"),
        (4320, "1 h 12 min"),
        (None, "not known"),
        (math.inf, "not known"),
    ],
    ids=range(8),
)
def test_duration(seconds, text):
    assert readable(s.duration(seconds)) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "none"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (312_400, "312 kB"),
        (999_600, "1.0 MB"),
        (2.5e9, "2.5 GB"),
        (7e15, "7 000 TB"),
        (None, "not known"),
    ],
    ids=range(8),
)
def test_memory(size, text):
    assert readable(s.memory(size)) == text


def test_error_sentence():
    said = s.error_sentence("test", 360, 13 / 360, (0.0212, 0.0608), 0.95)
    assert readable(said) == (
        "The network got 13 of 360 test examples wrong: a test error of 3.6 %, "
        "with a 95 % interval from 2.1 to 6.1 %."
    )
    bare = s.error_sentence("validation", 10, 0.5, None, 0.95)
    assert readable(bare).endswith("a validation error of 50.0 %.")


def test_words():
    assert s.listing([]) == ""
    assert s.listing(["a"]) == "a"
    assert s.listing(["a", "b", "c"]) == "a, b and c"
    assert s.count_of(1, "run") == "1 run"
    assert s.count_of(3, "run") == "3 runs"
    assert s.shorten("abcdef", 4) == "abc\u2026"
    assert s.shorten("abcd", 4) == "abcd"
    assert readable(s.level_name(0.95)) == "95 %"
    assert s.moment("2026-11-20T19:13:00Z") == "2026-11-20 19:13 UTC"
    assert s.moment("yesterday" * 9) == s.shorten("yesterday" * 9, 40)
