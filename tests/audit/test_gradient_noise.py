"""Gradient and noise without bias, where both are known."""

import numpy as np
import pytest
import torch
from torch import nn

from wellposed.audit import Subject
from wellposed.audit._gradient_noise import GradientNoise, gradient_noise
from wellposed.errors import ArgumentError


def known(seed, mean=0.3, n=400, width=20):
    """A loss whose gradients are the inputs themselves: normal, with this mean."""
    generator = torch.Generator().manual_seed(seed)
    x = mean + torch.randn(n, width, generator=generator)
    return Subject(nn.Linear(width, 1, bias=False), {"train": (x, torch.zeros(n))},
                   lambda outputs, _: outputs[:, 0])  # fmt: skip


def test_both_are_without_bias():
    found = [
        gradient_noise(known(seed), "test", batches=20, batch=20).estimate() for seed in range(40)
    ]
    square, variance = np.mean(found, axis=0)
    error = np.std(found, axis=0) / 40**0.5
    assert abs(square - 20 * 0.09) < 4 * error[0]
    assert abs(variance - 20) < 4 * error[1]


def test_it_is_kept_and_verified():
    subject = known(0)
    found = gradient_noise(subject, "test", batches=8, batch=10)
    assert (found.batch, found.gram.shape) == (10, (8, 8))
    assert gradient_noise(subject, "other", batches=8, batch=10) is found
    assert "agree to" in found.verified
    assert abs(found.gram.mean() - found.other) < 1e-5 * found.other


def test_draws_hold_as_often_as_they_say():
    # 95 % nominal; more than 14 misses of 100 have probability below 1e-3.
    generator, missed = np.random.default_rng(0), 0
    for _ in range(100):
        g = 0.3 + generator.standard_normal((16, 20)) / 4
        drawn = GradientNoise(g @ g.T, 16, "train", 1.0).draws(generator)[:, 0]
        low, high = np.quantile(drawn, [0.025, 0.975])
        missed += not low <= 20 * 0.09 <= high
    assert missed <= 14


def test_of_few_examples_each_is_a_batch_and_of_too_few_nothing_is_said():
    assert gradient_noise(known(0, n=9), "test", batches=16, batch=4).gram.shape == (9, 9)
    with pytest.raises(ArgumentError, match="at least 8 examples"):
        gradient_noise(known(0, n=7), "test", batches=16, batch=4)
