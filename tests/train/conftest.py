"""A small problem that has all that makes resuming hard: batch norm, dropout, pictures, parts."""

import os

import pytest
import torch
from torch import nn

from wellposed.data import Dataset, Examples, Standardization
from wellposed.losses import CrossEntropy
from wellposed.problem import Problem
from wellposed.runs import RunFolder


def pictures(n, seed):
    """Pictures of 8 x 8: class k has a bright row k, and all have noise."""
    generator = torch.Generator().manual_seed(seed)
    targets = torch.arange(n) % 6
    inputs = 0.3 * torch.rand(n, 1, 8, 8, generator=generator)
    inputs[torch.arange(n), 0, targets] += 0.4
    return Examples(inputs, targets)


@pytest.fixture
def dataset():
    return Dataset(
        "rows",
        tuple("abcdef"),
        pictures(96, 1),
        pictures(36, 2),
        pictures(48, 3),
        Standardization((0.0,), (1.0,)),
    )


def network():
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return nn.Sequential(
            nn.Conv2d(1, 4, 3),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Flatten(),
            nn.Dropout(0.2),
            nn.Linear(144, 6),
        )


@pytest.fixture
def make_problem(dataset):
    """A function that makes the same problem, with the same weights, each time it is called."""
    return lambda model=None, **more: Problem(dataset, model or network(), CrossEntropy(), **more)


@pytest.fixture
def make_folder(tmp_path):
    """A function that makes a run folder."""
    return lambda name="run": RunFolder.create(
        tmp_path / name, kind="run", recipe="", provenance={}
    )


@pytest.fixture(autouse=True)
def _no_power_cuts(monkeypatch):
    """Tests need not wait for the disk; those that count on it put their own in place."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


class Watch:
    """An observer that keeps all it is told."""

    def __init__(self, at_step=None):
        self.heard = []
        self.at_step = at_step or (lambda _: None)

    def begin(self, start):
        self.heard.append(("begin", start))

    def step(self, step):
        self.heard.append(("step", step))
        self.at_step(step)

    def record(self, record):
        self.heard.append(("record", record))

    def end(self, outcome):
        self.heard.append(("end", outcome))

    def all(self, kind):
        return [what for how, what in self.heard if how == kind]


@pytest.fixture
def make_watch():
    return Watch
