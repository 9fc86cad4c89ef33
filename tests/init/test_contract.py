"""What every initializer must do."""

import copy

import pytest
import torch
from torch import nn

from wellposed import init
from wellposed.errors import ArgumentError
from wellposed.recipe import public

INITIALIZERS = sorted(public(init, init.Initializer).values(), key=lambda c: c.__name__)
LAYERWISE = [init.Glorot, init.He, init.Orthogonal]


def network():
    return nn.Sequential(nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.Flatten(), nn.Linear(216, 3))


def started(kind, seed):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(9)
        model = network()
        for p in model.parameters():
            nn.init.normal_(p)
    inputs = torch.randn(32, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    kind()(model, inputs, torch.Generator().manual_seed(seed))
    return model.state_dict()


def equal(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("kind", INITIALIZERS)
def test_depends_on_its_generator_alone(kind):
    before = torch.get_rng_state()
    assert equal(started(kind, 0), started(kind, 0))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("kind", LAYERWISE)
def test_other_seeds_draw_other_weights(kind):
    assert not equal(started(kind, 0), started(kind, 1))


@pytest.mark.parametrize("kind", LAYERWISE)
def test_biases_become_zero_and_normalization_stays(kind):
    state, was = started(kind, 0), started(init.Default, 0)
    assert not state["0.bias"].any()
    assert not state["3.bias"].any()
    assert all(torch.equal(state[f"1.{name}"], was[f"1.{name}"]) for name in ("weight", "bias"))


@pytest.mark.parametrize("kind", LAYERWISE)
def test_layers_without_bias_and_of_other_dimensions_are_set_too(kind, generator):
    for layer in (nn.Conv1d(4, 4, 3), nn.Conv3d(2, 4, 2), nn.Linear(4, 4, bias=False)):
        before = copy.deepcopy(layer.weight.detach())
        kind()(layer, None, generator)
        assert not torch.equal(layer.weight, before)


@pytest.mark.parametrize("kind", LAYERWISE)
def test_a_model_without_layers_is_refused(kind, generator):
    with pytest.raises(ArgumentError, match=f"{kind.__name__} sets linear .*, but Tanh has none"):
        kind()(nn.Tanh(), None, generator)


@pytest.mark.parametrize("kind", INITIALIZERS)
def test_is_a_value_with_a_source(kind):
    assert kind() == kind()
    assert kind.citation.startswith("@") or kind is init.Default
