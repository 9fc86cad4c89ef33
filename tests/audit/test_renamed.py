import math
from itertools import permutations

import numpy as np
import pytest
import torch

from wellposed.audit._renamed import renamed


@pytest.fixture
def source():
    return torch.Generator().manual_seed(0)


def test_few_classes_are_renamed_in_every_way(source):
    table = np.random.default_rng(0).integers(0, 9, (5, 5))
    found = renamed(table, source)
    hits = [sum(table[p[c], c] for c in range(5)) for p in permutations(range(5))]
    assert found.renamings == math.factorial(5)
    assert found.hits == np.trace(table)
    assert found.as_good == sum(h >= np.trace(table) for h in hits)
    assert found.examples == table.sum()


def test_a_network_that_is_right_is_alone(source):
    assert renamed(50 * np.eye(5, dtype=int) + 1, source).p == 1 / 120
    assert renamed(50 * np.eye(10, dtype=int) + 1, source).p == 1e-4


def test_a_network_that_says_one_class_knows_nothing(source):
    table = np.zeros((6, 6), dtype=int)
    table[2] = 30
    assert renamed(table, source).p == 1


def test_clusters_raise_no_alarm_where_a_binomial_test_would(source):
    # All examples of a class are called by one name, drawn at random: 200 of 1,000 right and more
    # is no rarity, though a binomial test would call it impossible.
    generator = np.random.default_rng(0)
    small = 0
    for _ in range(1000):
        table = np.zeros((6, 6), dtype=int)
        table[generator.integers(0, 6, 6), np.arange(6)] = 100
        small += renamed(table, source).p <= 0.05
    assert small <= 73  # 0.05 of 1000; more have probability 0.001
