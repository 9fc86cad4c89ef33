import numpy as np
import pytest
import torch
from torch import nn

from wellposed.audit import Subject
from wellposed.audit._scan import scan


class Any(nn.Module):
    """Takes whatever comes."""

    def forward(self, x):
        return torch.zeros(len(x), 2)


def scanned(x, n=None):
    known = Subject(Any(), (x, torch.arange(len(x)) % 2))
    return scan(known, "test", n), known


def test_numbers_of_pictures():
    x = torch.randn(50, 3, 4, 4)
    found, _ = scanned(x)
    assert found.means == pytest.approx(x.double().mean((2, 3)).numpy(), abs=1e-6)
    assert found.squares == pytest.approx(x.double().square().mean((2, 3)).numpy(), abs=1e-6)
    assert found.high == pytest.approx(x.amax((1, 2, 3)).numpy())
    assert found.spread == pytest.approx(x.flatten(1).std(1, correction=0).numpy(), abs=1e-5)
    assert found.labels.tolist() == (np.arange(50) % 2).tolist()


def test_equal_inputs_have_equal_digests():
    x = torch.randn(6, 5)
    x[4], x[5] = x[1], x[1] + 1e-6
    x[0, 0], x[2] = 0.0, x[0]
    x[2, 0] = -0.0
    found, _ = scanned(x)
    assert found.digests[4] == found.digests[1]
    assert found.digests[2] == found.digests[0]
    assert len(set(found.digests)) == 4


def test_what_is_not_finite_is_counted_and_left_out():
    x = torch.ones(3, 4)
    x[1, 0], x[1, 1], x[2] = float("nan"), 5.0, float("inf")
    found, _ = scanned(x)
    assert found.broken.tolist() == [0, 1, 4]
    assert found.high[:2].tolist() == [1, 5]
    assert np.isfinite(found.means).all()


def test_integers_and_sequences_are_one_channel():
    found, _ = scanned(torch.randint(9, (7, 11)))
    assert found.means.shape == (7, 1)
    assert scanned(torch.randn(7, 5, 3))[0].means.shape == (7, 1)


def test_is_read_once():
    found, known = scanned(torch.randn(40, 5), 30)
    assert len(found) == 30
    assert found.of == 40
    assert scan(known, "test", 30) is found
    assert scan(known, "test") is not found
