import math

import numpy as np
import pytest
import torch
from tests.audit.deep import Residual, chain, examples
from torch import nn

from wellposed.audit import MeanField, Subject
from wellposed.audit._cause import cause, is_default, looks_trained, predicted, theories
from wellposed.audit._chain import propagate


def of(model):
    found = propagate(Subject(model, examples(64)), model, "train", 64)
    return found, found.chains[0], theories(found.trace, found.chains[0])


def test_default_draws_are_told_from_others():
    torch.manual_seed(0)
    layers = [nn.Linear(30, 20), nn.Conv2d(3, 8, 3), nn.Linear(1000, 10)]
    assert all(is_default(layer.weight.detach()) for layer in layers)
    normal = torch.randn(20, 30) / math.sqrt(90)
    assert not is_default(normal)  # the same variance, but not bounded
    assert not is_default(layers[0].weight.detach() * 1.3)


def test_independent_and_orthogonal_weights_do_not_look_trained_and_a_spike_does():
    generator = torch.Generator().manual_seed(0)
    matrices = [torch.randn(m, n, generator=generator) for m, n in ((6, 25), (64, 64), (300, 40))]
    assert not looks_trained([*matrices, torch.eye(30), torch.rand(40, 40) - 0.5])
    spike = matrices[1] + 0.8 * torch.ones(64, 64)
    assert looks_trained([spike])


def test_theory_between_two_layers_is_mean_field_theory_of_their_weights():
    model = chain(4, 200, nn.Tanh, scale=1.5)
    found, _, made = of(model)
    weight = model[4].weight.detach().double()
    here = made[1]
    assert here.field.weight == pytest.approx(200 * float(weight.square().mean()))
    assert here.chi == pytest.approx(MeanField(torch.tanh, here.field.weight).chi(here.q))
    assert here.growth == pytest.approx(here.field.forward(here.q) / here.q)
    assert here.greatest == pytest.approx(1)
    assert here.passed == pytest.approx(here.field.slope(here.q), rel=0.05)
    sizes = np.sqrt(found.backward[list(found.chains[0].sites)].mean(1))
    line = predicted(made, sizes, backward=True)
    assert line[-1] == sizes[-1]
    np.testing.assert_allclose(line, sizes, rtol=0.3)  # four layers of width 200
    forward = np.sqrt(found.forward[list(found.chains[0].sites)].mean(1))
    np.testing.assert_allclose(predicted(made, forward, backward=False), forward, rtol=0.3)


def test_causes_are_named():
    def said(model, *, backward=True):
        return cause(*of(model), backward=backward)

    assert "multiplies the power of gradients by 0.16" in said(chain(5))
    assert "activations" in said(chain(5), backward=False)
    assert "batch normalization" in said(chain(5, normalize=True))
    assert "3 sums of a residual branch" in said(Residual(3, normalize=False))
    assert said(chain(5, activation=lambda: nn.Softmax(1))) == ""
    saturated = chain(5, activation=nn.Tanh)
    with torch.no_grad():
        for layer in saturated:
            if isinstance(layer, nn.Linear):
                layer.bias += 5
    assert "Tanh is saturated" in said(saturated)


def test_where_nothing_is_known_prediction_begins_anew():
    sizes = np.array([3.0, 2.0, 1.0])
    np.testing.assert_array_equal(predicted([None, None], sizes, backward=True), sizes)
    np.testing.assert_array_equal(predicted([None, None], sizes, backward=False), sizes)
