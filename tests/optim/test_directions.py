"""Random directions that are functions of their counters."""

import pytest
import torch
from scipy.stats import kstest

from wellposed.optim import _directions
from wellposed.optim._directions import chunk_sizes, direction, draw


def test_signs_are_signs_and_fair():
    signs = draw(torch.empty(()), 100_000, "rademacher", 1, 2)
    assert set(signs.tolist()) == {-1.0, 1.0}
    assert abs(signs.mean().item()) < 4 / 100_000**0.5


def test_gaussian_numbers_are_gaussian():
    assert kstest(draw(torch.empty(()), 20_000, "gaussian", 3).numpy(), "norm").pvalue > 1e-3


@pytest.mark.parametrize("distribution", ["rademacher", "gaussian"])
def test_counters_decide_and_nothing_else(distribution):
    state = torch.get_rng_state()
    a = draw(torch.empty(()), 64, distribution, 1, 2)
    assert torch.equal(a, draw(torch.empty(7), 64, distribution, 1, 2))
    assert not torch.equal(a, draw(torch.empty(()), 64, distribution, 2, 1))
    assert torch.equal(torch.get_rng_state(), state)


def test_precision_follows_the_weights_but_is_never_low():
    assert draw(torch.empty(1).double(), 1, "gaussian").dtype == torch.float64
    assert draw(torch.empty(1).bfloat16(), 1, "gaussian").dtype == torch.float32


def test_a_parameters_direction_is_its_chunks_whatever_its_layout(monkeypatch):
    monkeypatch.setattr(_directions, "CHUNK", 10)
    p = torch.empty(2, 3, 2, 2)
    whole = direction(p, "gaussian", 5)
    parts = [draw(p, size, "gaussian", 5, i) for i, size in enumerate((10, 10, 4))]
    assert torch.equal(whole.flatten(), torch.cat(parts))
    other = p.to(memory_format=torch.channels_last)
    assert torch.equal(direction(other, "gaussian", 5), whole)
    assert direction(torch.empty(()), "gaussian", 5).shape == ()
    assert direction(torch.empty(0, 3), "gaussian", 5).shape == (0, 3)


def test_chunks_cover_everything_once(monkeypatch):
    monkeypatch.setattr(_directions, "CHUNK", 4)
    assert [chunk_sizes(n) for n in (0, 1, 4, 9)] == [[0], [1], [4], [4, 4, 1]]
