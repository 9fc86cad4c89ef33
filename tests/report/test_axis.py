import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellposed.report._axis import (
    linear,
    logarithmic,
    number_name,
    percent_name,
    wants_log,
)

values = st.lists(st.floats(-1e12, 1e12), min_size=1)
positive = st.lists(st.floats(1e-12, 1e12), min_size=1)


@given(values=values, zero=st.booleans())
def test_linear_axis_holds_its_values_and_a_few_round_ticks(values, zero):
    axis = linear(values, name=number_name, zero=zero)
    assert axis.low <= min(values)
    assert axis.high >= max(values)
    assert axis.low < axis.high
    assert 1 <= len(axis.ticks) <= 7
    assert all(0 <= axis.position(value) <= 1 for value in values)


@given(values=positive)
def test_logarithmic_axis_holds_its_values_and_a_few_ticks(values):
    axis = logarithmic(values, name=number_name)
    assert 0 < axis.low < min(values)
    assert axis.high > max(values)
    assert len(axis.ticks) <= 6
    assert axis.position(0.0) == 0
    assert axis.position(axis.high) == pytest.approx(1)


def test_ticks_are_what_one_would_choose():
    assert [t for t, _ in linear([0, 780], name=number_name, most=4).ticks] == [0, 200, 400, 600]
    assert [n for _, n in linear([0, 0.23], name=number_name).ticks] == [
        "0", "0.05", "0.1", "0.15", "0.2",
    ]  # fmt: skip
    assert [n for _, n in logarithmic([0.03, 0.9], name=percent_name).ticks] == [
        "5%", "10%", "20%", "50%", "100%",
    ]  # fmt: skip
    assert [n for _, n in logarithmic([1e-5, 0.05], name=number_name).ticks] == [
        "10\u207b\u2075", "10\u207b\u2074", "0.001", "0.01",
    ]  # fmt: skip


def test_equal_ratios_take_equal_room():
    axis = logarithmic([1, 10000], name=number_name)
    steps = [axis.position(10.0**k) for k in range(5)]
    gaps = [b - a for a, b in pairwise(steps)]
    assert gaps == pytest.approx([gaps[0]] * 4)


def test_nothing_and_what_is_not_finite_still_give_an_axis():
    assert linear([], name=number_name).low == 0
    axis = linear([math.nan, math.inf, 3.0], name=number_name)
    assert axis.low < 3 < axis.high
    assert linear([0.0], name=number_name, zero=True).low == 0
    assert linear([2.0], name=number_name, zero=True).low == 0


@pytest.mark.parametrize(
    ("values", "answer"),
    [
        ([1, 30], True),
        ([1, 10], False),
        ([0, 0], False),
        ([], False),
        ([1, math.inf], False),
        ([-1, 1, 99], False),
    ],
    ids=range(6),
)
def test_log_is_wanted_for_large_ratios(values, answer):
    assert wants_log(values) is answer


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (0, "0"),
        (0.05, "0.05"),
        (1500, "1.5k"),
        (-2e6, "\u22122M"),
        (1e-5, "10\u207b\u2075"),
        (5e-5, "5\u00b710\u207b\u2075"),
        (-0.5, "\u22120.5"),
        (1e10, "10\u00b9\u2070"),
    ],
    ids=range(8),
)
def test_number_names(value, name):
    assert number_name(value) == name


@pytest.mark.parametrize("values", [[0.2, 0.43], [0.21, 0.23], [3.0, 8.0], [1e-5, 1.4e-5]])
def test_a_logarithmic_axis_over_less_than_a_decade_still_names_several_values(values):
    axis = logarithmic(values, name=str)
    assert 3 <= len(axis.ticks) <= 7
    assert all(axis.low <= tick <= axis.high for tick, _ in axis.ticks)
