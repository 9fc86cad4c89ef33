import random

import numpy as np
import pytest
import torch

from wellposed.train import rng_state, set_rng_state
from wellposed.train._rng import seeded
from wellposed.train._tree import flatten, unflatten

CPU = torch.device("cpu")


def draw():
    return random.random(), np.random.rand(), np.random.randn(), torch.rand(3).tolist()  # noqa: NPY002


def test_the_same_numbers_come_after_a_state_has_been_through_a_checkpoint():
    np.random.randn()  # noqa: NPY002 - leaves a second Gaussian in the state
    plain, tensors = flatten(rng_state(CPU))
    expected = draw()
    set_rng_state(unflatten(plain, tensors), CPU)
    assert draw() == expected


def test_a_seeded_block_leaves_no_trace():
    before = rng_state(CPU)
    expected = draw()
    set_rng_state(before, CPU)
    with pytest.raises(KeyError), seeded(2**40, CPU):  # noqa: PT012
        inside = draw()
        raise KeyError
    assert draw() == expected
    with seeded(2**40, CPU):
        assert draw() == inside != expected


@pytest.mark.parametrize("kind", ["cuda", "mps"])
def test_each_device_has_its_own_generator(monkeypatch, kind):
    states = {"cuda": [torch.tensor([1])], "mps": [torch.tensor([1])]}
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda _: states["cuda"][-1])
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda s, _: states["cuda"].append(s))
    monkeypatch.setattr(torch.mps, "get_rng_state", lambda: states["mps"][-1])
    monkeypatch.setattr(torch.mps, "set_rng_state", states["mps"].append)
    device = torch.device(kind)
    state = rng_state(device)
    assert state[kind].tolist() == [1]
    set_rng_state(state, device)
    assert len(states[kind]) == 2
    set_rng_state(rng_state(CPU), device)  # of another device: left aside
    assert len(states[kind]) == 2
