import pytest
import torch
from torch import nn

from wellposed.audit import Subject


@pytest.fixture
def net():
    """A small classifier whose seed and layers may be chosen."""

    def make(seed=0, *layers):
        torch.manual_seed(seed)
        made = layers or (nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
        return nn.Sequential(*made)

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # for the layers that a test makes itself
        yield make


@pytest.fixture
def blobs():
    """Examples of three classes, shape (n, 4), that a small net can tell apart."""

    def make(n=60, seed=0):
        generator = torch.Generator().manual_seed(seed)
        targets = torch.arange(n) % 3
        inputs = torch.randn(n, 4, generator=generator)
        inputs[torch.arange(n), targets] += 3
        return inputs, targets

    return make


@pytest.fixture
def subject(net, blobs):
    """A network, never trained, with a train and a test part."""

    def make(model=None, seed=0, **more):
        data = more.pop("data", {"train": blobs(60, 1), "test": blobs(30, 2)})
        return Subject(model if model is not None else net(seed), data, **more)

    return make
