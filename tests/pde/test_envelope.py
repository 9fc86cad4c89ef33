import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from wellposed.pde._envelope import lower_envelope

lines = st.integers(1, 40).flatmap(
    lambda n: arrays(np.float64, n, elements=st.floats(-1e3, 1e3, width=32))
)


@given(values=lines, curvature=st.floats(1e-3, 1e3))
def test_it_is_the_minimum_over_all_pairs(values, curvature):
    i = np.arange(len(values))
    everything = values[None, :] + curvature * (i[:, None] - i[None, :]) ** 2
    found = lower_envelope(values, curvature)
    scale = np.abs(everything).max() + 1
    assert everything[i, found] == pytest.approx(everything.min(axis=1), abs=1e-12 * scale)


@given(values=lines, curvature=st.floats(1e-3, 1e3))
def test_minimizers_are_in_order(values, curvature):
    assert (np.diff(lower_envelope(values, curvature)) >= 0).all()


def test_a_deep_hole_takes_all():
    values = np.zeros(9)
    values[4] = -1e9
    np.testing.assert_array_equal(lower_envelope(values, 1.0), np.full(9, 4))


def test_a_line_of_equals_stays_where_it_is():
    np.testing.assert_array_equal(lower_envelope(np.zeros(5), 1.0), np.arange(5))


def test_the_flattest_parabolas_do_not_overflow():
    values = np.array([3.0, 1.0, 2.0])
    np.testing.assert_array_equal(lower_envelope(values, 0.0), [1, 1, 1])
    np.testing.assert_array_equal(lower_envelope(1e300 * values, 1e-300), [1, 1, 1])
