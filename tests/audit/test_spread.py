import math

import numpy as np
import pytest
import torch
from tests.audit.deep import chain, examples
from torch import nn

from wellposed.audit import Subject
from wellposed.audit._spread import predicted_distances, spreads_of
from wellposed.errors import ArgumentError
from wellposed.runs import Verdict


def of(model, data=None, n=128):
    return spreads_of(Subject(model, data or examples(n)), model, "train", n)


def test_distances_are_those_of_the_layers_outputs():
    model = chain(3, 16, nn.Tanh)
    _, (distinct, near), pairs = of(model, n=40)
    assert pairs == 20
    x = examples(40)["train"][0]
    layers = [model[: 2 * k + 1](x).detach().double() for k in range(4)]
    for size, out in zip(distinct.trend.sizes, layers, strict=True):
        a, b = out[:20], out[20:]
        exact = ((a - b) ** 2).sum(1) / ((a**2).sum(1) + (b**2).sum(1))
        assert size == pytest.approx(math.sqrt(float(exact.mean())), rel=1e-5)
    # a perturbation by 1e-3 of a layer's root mean square, over the size of both
    assert near.trend.sizes[0] == pytest.approx(1e-3 / math.sqrt(2), rel=0.2)


def test_an_orthogonal_network_moves_nothing():
    model = nn.Sequential(*(nn.Linear(12, 12, bias=False) for _ in range(6)))
    for layer in model:
        nn.init.orthogonal_(layer.weight, 1.7, torch.Generator().manual_seed(0))
    data = {"train": (examples()["train"][0], torch.arange(128) % 12)}
    _, spreads, _ = of(model, data)
    for spread in spreads:
        assert spread.trend.step == pytest.approx(1, abs=1e-4)
        assert spread.verdict is Verdict.PASS


@pytest.mark.parametrize(("activation", "scale"), [(nn.ReLU, 2.0), (nn.Tanh, 3.0), (nn.GELU, 1.5)])
def test_the_correlation_map_predicts_distances(activation, scale):
    distinct = of(chain(6, 300, activation, scale=scale))[1][0]
    # six layers of width 300; the last has width 3
    predicted = predicted_distances(distinct)[:-1]
    np.testing.assert_allclose(predicted, distinct.trend.sizes[:-1], rtol=0.15)


def test_the_correlation_map_predicts_the_merging_of_torchs_default_draw():
    distinct = of(chain(16, 300))[1][0]
    assert distinct.trend.sizes[-1] < 1e-5
    np.testing.assert_allclose(predicted_distances(distinct), distinct.trend.sizes, rtol=0.4)


def test_only_what_is_a_fault_has_a_factor_above_one():
    merging, parting = (of(chain(12, 64, nn.Tanh, scale=s))[1] for s in (None, 9.0))
    assert merging[0].factor > 10 > 1 > merging[1].factor
    assert merging[0].verdict is not Verdict.PASS
    assert parting[1].factor > 10
    assert parting[1].verdict is Verdict.WARN
    assert parting[0].verdict is Verdict.PASS
    low, high = merging[1].interval
    assert low <= merging[1].factor <= high < 1


def test_what_does_not_depend_on_the_input_is_left_out():
    class Unrolled(nn.Module):
        def __init__(self):
            super().__init__()
            self.into, self.cell, self.head = nn.Linear(4, 8), nn.Linear(8, 8), nn.Linear(8, 3)

        def forward(self, x):
            state = torch.zeros(len(x), 8)
            for part in x.split(4, 1):
                state = torch.tanh(self.into(part) + self.cell(state))
            return self.head(state)

    torch.manual_seed(0)
    _, (distinct, _), _ = of(Unrolled())
    assert len(distinct.chain.sites) == 7
    assert len(distinct.sites) == 6
    assert distinct.verdict is Verdict.PASS


def test_needs_inputs_that_differ():
    x = torch.ones(20, 12)
    with pytest.raises(ArgumentError, match="give at least four that differ"):
        of(chain(2), {"train": (x, torch.arange(20) % 3)})
