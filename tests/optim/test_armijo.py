"""The line search against its definition."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from wellposed.optim._armijo import C1, armijo


@given(st.floats(0.01, 50), st.floats(0.01, 10), st.floats(0.01, 4))
def test_on_a_parabola_it_takes_the_largest_power_that_is_allowed(curvature, slope, first):
    # E(a) = -s a + c a^2/2 is low enough iff a <= 2 (1 - c1) s / c.
    bound = 2 * (1 - C1) * slope / curvature
    halvings = max(0, math.ceil(math.log2(first / bound)))
    assume(abs(first / 2**halvings / bound - 1) > 1e-6)
    found = armijo(lambda a: -slope * a + curvature * a * a / 2, 0.0, -slope, first, max_trials=60)
    assert found.alpha == first / 2**halvings
    assert found.trials == halvings + 1


@given(st.floats(-3, 3), st.floats(0.05, 8), st.integers(1, 9))
def test_what_it_accepts_satisfies_the_condition_and_its_double_does_not(at, first, wave):
    def loss(x):
        return x**4 / 4 - x * x + math.sin(wave * x)

    slope = at**3 - 2 * at + wave * math.cos(wave * at)
    assume(abs(slope) > 1e-3)
    found = armijo(lambda a: loss(at - a * slope), loss(at), -(slope**2), first, max_trials=60)
    assert 0 < found.alpha <= first
    assert found.loss == loss(at - found.alpha * slope)
    assert found.loss <= loss(at) - C1 * found.alpha * slope**2
    if found.trials > 1:
        double = 2 * found.alpha
        assert loss(at - double * slope) > loss(at) - C1 * double * slope**2


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_no_number_is_no_decrease(bad):
    found = armijo(lambda a: bad if a > 0.3 else -a, 0.0, -1.0, 1.0)
    assert (found.alpha, found.trials) == (0.25, 3)


def test_without_a_decrease_nothing_is_accepted():
    found = armijo(abs, 0.0, -1.0, 1.0, max_trials=7)
    assert (found.alpha, found.loss, found.trials) == (0.0, 0.0, 7)


def test_a_simple_decrease_is_not_enough():
    # E decreases by half of what the condition with c1 = 0.5 asks for, at every step length.
    assert armijo(lambda a: -0.25 * a, 0.0, -1.0, 1.0, c1=0.5).alpha == 0
    assert armijo(lambda a: -0.25 * a, 0.0, -1.0, 1.0, c1=0.2).alpha == 1


def test_the_next_search_starts_from_the_last_step_or_twice_it():
    assert armijo(lambda a: -a, 0.0, -1.0, 0.5).following == 1.0
    assert armijo(lambda a: -a if a < 0.4 else 1.0, 0.0, -1.0, 0.5).following == 0.25
