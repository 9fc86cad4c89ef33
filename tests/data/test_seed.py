from hypothesis import given
from hypothesis import strategies as st

from wellposed.data._seed import derived_seed

numbers = st.lists(st.integers(-(2**70), 2**70), min_size=1, max_size=4)


@given(numbers, numbers)
def test_different_positions_have_different_seeds(a, b):
    assert (derived_seed(*a) == derived_seed(*b)) == (a == b)


@given(numbers)
def test_fits_a_torch_generator(a):
    assert 0 <= derived_seed(*a) < 2**63


def test_is_the_same_on_every_machine():
    # Written down once: a change would silently reshuffle every run that is resumed.
    assert derived_seed(0) == 3115298510175463368
    assert derived_seed(1, 2, 3) == 1852437627294354785
