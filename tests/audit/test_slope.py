import math

import numpy as np
import pytest

from wellposed.audit._slope import slope

EPS = 2.0**-52


@pytest.mark.parametrize(
    ("phi", "right"),
    [(math.exp, 1.0), (lambda h: math.sin(3 * h) + h * h, 3.0), (lambda h: 1 / (2 + h), -0.25)],
    ids=["exp", "sin", "inverse"],
)
def test_the_slope_is_right_within_its_error(phi, right):
    found = slope(phi, EPS)
    assert abs(found.value - right) <= found.error < 1e-8
    low, high = found.window(right)[1], found.window(right)[0]
    assert low < 1e-5 < 1e-2 < high


def test_a_wrong_slope_leaves_order_2_where_its_error_begins():
    found = slope(math.exp, EPS)
    orders = found.orders(1.001)  # the remainder is h^2/2 - 0.001 h
    assert orders[-1] == pytest.approx(1, abs=1e-3)
    right = found.orders(1.0)
    assert right[5] == pytest.approx(2, abs=0.02)


def test_a_kink_beside_the_point_is_seen_around():
    def phi(h):
        return h + 3 * max(h - 1e-4, 0) + h * h

    found = slope(phi, EPS)
    assert abs(found.value - 1) <= found.error < 1e-8
    assert found.step < 1e-4
    assert found.window(1.0)[0] < 1e-4


def test_one_kink_very_near_does_not_deceive():
    # Between the kink and 1e-2 all central differences agree, on a value that is wrong.
    def phi(h):
        return h + 3 * max(h - 1e-7, 0)

    for exponents in (None, range(4, 27, 2), range(4, 16)):
        found = slope(phi, EPS, exponents)
        assert abs(found.value - 1) <= found.error


def test_a_kink_in_the_point_is_the_mean_of_both_sides_and_has_no_order_2():
    found = slope(lambda h: abs(h) + h, EPS)
    assert found.value == pytest.approx(1)
    assert found.window(1.0) is None


def test_a_linear_function_leaves_rounding_only():
    found = slope(lambda h: 2 + 3 * h, EPS)
    assert found.window(3.0) is None
    assert all(math.isnan(order) for order in found.orders(3.0))
    assert max(found.remainders(3.0)) < 1e-15


@pytest.mark.parametrize("grain", [0.0, EPS])
def test_a_function_that_rounds_to_a_constant_is_not_exact(grain):
    # log(1 + exp(h - 60)) is 0 in float64 for all these h, and so are all its differences
    found = slope(lambda h: math.log(1 + math.exp(h - 60)), EPS, grain=grain)
    assert found.value == 0
    assert (abs(found.value - math.exp(-60)) <= found.error) == (grain > 0)


def test_the_remainder_of_a_wrong_slope_becomes_linear():
    found = slope(math.exp, EPS)
    assert found.linear(1.001)
    assert found.linear(1 + 1e-5)
    assert not found.linear(1.0)
    large_steps = slope(math.exp, EPS, range(2, 6))
    assert not large_steps.linear(1 + 1e-5)  # h^2/2 is more than 1e-5 h there


def test_noise_is_measured():
    generator = np.random.default_rng(0)
    measured = [
        slope(lambda h: 1 + h + 1e-7 * generator.standard_normal(), EPS).noise for _ in range(200)
    ]
    assert np.sqrt(np.mean(np.square(measured))) == pytest.approx(1e-7, rel=0.15)


def test_with_noise_the_error_still_holds_the_slope():
    generator = np.random.default_rng(1)
    held = 0
    for _ in range(200):
        found = slope(lambda h: math.exp(h) + 1e-9 * generator.standard_normal(), EPS)
        held += abs(found.value - 1) <= found.error
    assert held >= 190


def test_in_float32_the_error_is_that_of_float32():
    found = slope(lambda h: float(np.exp(np.float32(h))), 2.0**-23)
    assert abs(found.value - 1) <= found.error < 0.01
    assert min(found.steps) == 2.0**-12
