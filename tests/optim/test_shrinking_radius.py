"""Radii of finite differences, and the conditions on their exponents."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellposed.errors import ArgumentError
from wellposed.optim import RobbinsMonro, ShrinkingRadius
from wellposed.optim._shrinking_radius import power_law


def test_it_is_a_power_law():
    radius = ShrinkingRadius(power=1 / 3)
    assert [radius(k, 10) for k in (0, 7)] == pytest.approx([1.0, 0.5])
    assert power_law(26, 1.0, 1 / 3) == pytest.approx(1 / 3)


def test_with_its_steps_the_sums_of_kiefer_and_wolfowitz_converge_or_diverge_as_they_must():
    # Beyond k the sum of (a/c)^2 ~ j^(2q-2p) is below k^(2q-2p+1) / (2p-2q-1); that of a goes on.
    p, q = 1.0, 1 / 3
    steps, radius = RobbinsMonro(offset=1.0, power=p), ShrinkingRadius(power=q, step_power=p)

    def sums(low, high):
        ratios = sum((steps(k, 10**9) / radius(k, 10**9)) ** 2 for k in range(low, high))
        return ratios, sum(steps(k, 10**9) for k in range(low, high))

    first, second = sums(1000, 2000), sums(2000, 4000)
    assert second[0] == pytest.approx(first[0] * 2 ** (2 * q - 2 * p + 1), rel=1e-3)
    assert second[1] == pytest.approx(first[1], rel=1e-3)  # as log 2 each: to infinity


@given(p=st.floats(0.51, 1.0), share=st.floats(0.01, 0.99))
def test_every_pair_that_satisfies_the_conditions_is_accepted(p, share):
    ShrinkingRadius(power=share * (p - 0.5), step_power=p)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"power": 0.5}, "radius power of 0.5 .*below 0.5"),
        ({"power": 0.0}, "radius power of 0 "),
        ({"power": 0.2, "step_power": 0.602}, "below 0.102, try 0.034"),
        ({"step_power": 0.5}, "step power of 0.5"),
        ({"step_power": 1.1}, "step power of 1.1"),
        ({"offset": 0.0}, "offset=0"),
        ({"warmup": 1.0}, "warmup=1"),
    ],
)
def test_what_does_not_converge_is_refused(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        ShrinkingRadius(**arguments)
