import pytest
import torch
from torch import nn

from wellposed.errors import ArgumentError
from wellposed.init import Orthogonal


@pytest.mark.parametrize("gain", [1.0, 2.5])
@pytest.mark.parametrize("layer", [nn.Linear(6, 9), nn.Linear(9, 6), nn.Conv2d(2, 5, 3)])
def test_all_singular_values_are_the_gain(layer, gain, generator):
    Orthogonal(gain)(layer.double(), None, generator)
    values = torch.linalg.svdvals(layer.weight.detach().flatten(1))
    torch.testing.assert_close(values, torch.full_like(values, gain), rtol=0, atol=1e-12)


def test_a_deep_linear_network_keeps_every_distance(generator):
    model = nn.Sequential(*(nn.Linear(20, 20) for _ in range(30))).double()
    Orthogonal()(model, None, generator)
    x = torch.randn(10, 20, dtype=torch.float64, generator=generator)
    torch.testing.assert_close(torch.pdist(model(x)), torch.pdist(x))


def test_variance_of_an_entry_is_one_over_the_longer_side(generator):
    # Rows (columns) of a uniformly distributed orthogonal matrix are uniform on the sphere.
    layer = nn.Linear(300, 200)
    Orthogonal()(layer, None, generator)
    assert layer.weight.var().item() == pytest.approx(1 / 300, rel=0.02)


def test_gains_that_are_not_positive_are_refused():
    with pytest.raises(ArgumentError, match="Orthogonal needs gain > 0, got 0; try 1"):
        Orthogonal(0.0)
