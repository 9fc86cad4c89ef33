"""Noise that is a function of counters."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest

from wellposed.optim._noise import CounterNoise, counter_seed


def test_seeds_of_neighbouring_counters_do_not_collide():
    seeds = {counter_seed(s, o, i, g) for s in range(4) for o in range(30) for i in range(30)
             for g in range(4)}  # fmt: skip
    assert len(seeds) == 4 * 30 * 30 * 4
    assert len({seed & 0xFFFFFFFF for seed in seeds}) > 0.9999 * len(seeds)


@given(st.lists(st.integers(-(2**70), 2**70), max_size=5))
def test_every_seed_is_one_that_torch_takes(counters):
    torch.Generator().manual_seed(counter_seed(*counters))


def test_the_order_of_counters_matters():
    assert counter_seed(1, 2) != counter_seed(2, 1)
    assert counter_seed(0) != counter_seed(0, 0)


def test_the_numbers_are_normal_and_independent_between_draws():
    noise = CounterNoise([torch.empty(100, 100), torch.empty(10_000)], torch.float64)
    first = torch.cat([v.flatten() for v in noise.draw(2.0, 0, 1)]).clone()
    second = torch.cat([v.flatten() for v in noise.draw(2.0, 0, 2)]).clone()
    assert kstest(first.numpy() / 2, "norm").pvalue > 1e-3
    assert abs(torch.corrcoef(torch.stack([first, second]))[0, 1]) < 4 / 20_000**0.5


def test_the_same_counters_give_the_same_numbers_and_global_state_is_left_alone():
    like = [torch.empty(3, 2), torch.empty(5)]
    state = torch.get_rng_state()
    a = [v.clone() for v in CounterNoise(like, torch.float32).draw(1.0, 7, 8)]
    torch.manual_seed(5)
    torch.set_rng_state(state)
    b = CounterNoise(like, torch.float32).draw(1.0, 7, 8)
    assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))
    assert [v.shape for v in b] == [t.shape for t in like]
    assert torch.equal(torch.get_rng_state(), state)
