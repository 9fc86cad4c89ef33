import numpy as np
import pytest
import torch
from torch import nn

from wellposed.audit import Subject
from wellposed.audit._landscape import Landscape
from wellposed.audit._straight import at_state, between, largest, rise, straight
from wellposed.errors import ArgumentError


def state(*values):
    return {"w": torch.tensor(values)}, {"count": torch.tensor(3)}


def test_the_ends_are_exact_and_the_middle_is_the_mean():
    start, end = state(1.0, 0.1), state(3.0, 0.3)
    assert between(start, end, 0) is start
    assert between(start, end, 1) is end
    assert between(start, end, 0.5)[0]["w"].tolist() == pytest.approx([2, 0.2])
    assert between(start, end, 1.5)[0]["w"].tolist() == pytest.approx([4, 0.4])
    assert between(start, end, 0.5)[1]["count"] == 3


def test_the_rise_is_that_of_the_highest_inner_point():
    flat = np.zeros(50)
    table = np.stack([flat, flat + 1, flat + 4, flat + 2, flat + 9])
    height, (low, high) = rise(table, table[0])
    assert (height, low, high) == (4, 4, 4)


def test_a_point_that_is_not_finite_is_left_out():
    table = np.zeros((4, 30))
    table[1] = np.inf
    assert rise(table, table[0])[0] == 0
    table[2, 3] = np.nan
    with pytest.raises(ArgumentError, match="no point between the ends"):
        rise(table, table[0])
    assert largest(table[1:2]) == (-np.inf, np.inf)


def test_the_largest_mean_is_covered_though_it_was_chosen():
    generator, covered = np.random.default_rng(0), 0
    for _ in range(400):
        rows = generator.normal(size=(15, 40))  # all means are 0, and so is the largest
        low, high = largest(rows)
        covered += low <= 0 <= high
    assert covered / 400 >= 0.93  # 0.95 leaves this with a probability of 0.97


def test_batch_norm_is_measured_anew_where_it_is(net, blobs):
    model = net(0, nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 3))
    torch.manual_seed(1)
    other = net(1, nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 3))
    land = Landscape(Subject(model, {"train": blobs(60)}), "path", 60)
    end = ({n: p.detach() for n, p in other.named_parameters()}, dict(other.named_buffers()))
    own = (land.weights, dict(model.named_buffers()))
    table = straight(land, own, end, [0.0, 0.5, 1.0])
    other.train()  # the batch's own statistics, but for n instead of n - 1 in the variance
    right = nn.functional.cross_entropy(other(land.inputs), land.targets, reduction="none")
    assert table[2] == pytest.approx(right.detach().double().numpy(), rel=0.02)
    assert table[0] == pytest.approx(at_state(land, own))
