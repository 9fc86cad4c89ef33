import pytest
import torch
from tests.audit.zoo import ZOO, made
from torch import nn

from wellposed.audit._directions import filter_normalized, length, moved
from wellposed.errors import ArgumentError


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("kind", ZOO)
def test_every_filter_is_as_long_as_the_weights_filter(kind):
    model = made(kind)
    direction = filter_normalized(model, generator())
    weights = dict(model.named_parameters())
    assert direction
    for name, d in direction.items():
        right = weights[name].detach().flatten(1).norm(dim=1)
        assert d.shape == weights[name].shape
        torch.testing.assert_close(d.flatten(1).norm(dim=1), right, rtol=1e-5, atol=1e-7)


def test_biases_and_normalization_stay_where_they_are():
    model = nn.Sequential(nn.Conv2d(1, 3, 2), nn.BatchNorm2d(3), nn.LayerNorm((3, 4, 4)))
    assert list(filter_normalized(model, generator())) == ["0.weight"]


def test_a_transposed_convolution_has_its_outputs_along_the_second_axis(net):
    model = net(0, nn.ConvTranspose2d(3, 5, 2))
    d = filter_normalized(model, generator())["0.weight"]
    right = torch.linalg.vector_norm(model[0].weight.detach(), dim=(0, 2, 3))
    torch.testing.assert_close(torch.linalg.vector_norm(d, dim=(0, 2, 3)), right)


def test_frozen_weights_stay_and_tied_weights_are_one(net):
    model = net(0, nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4))
    model[0].weight.requires_grad_(requires_grad=False)
    model[2].weight = model[1].weight
    assert list(filter_normalized(model, generator())) == ["1.weight"]


def test_it_is_gaussian_and_not_in_the_positive_orthant(net):
    d = filter_normalized(net(0, nn.Linear(400, 50)), generator())["0.weight"]
    z = d / d.std()
    assert abs(float(z.mean())) < 4 / 20_000**0.5
    assert float((z**4).mean()) == pytest.approx(3, abs=0.2)


def test_the_same_seed_draws_the_same_and_another_one_does_not(net):
    model = net(0)
    one, again, other = (filter_normalized(model, generator(s)) for s in (1, 1, 2))
    assert all(torch.equal(one[n], again[n]) for n in one)
    assert not any(torch.equal(one[n], other[n]) for n in one)


def test_it_scales_with_the_weights():
    model = nn.Linear(3, 2)
    before = filter_normalized(model, generator())["weight"]
    with torch.no_grad():
        model.weight *= 8
    torch.testing.assert_close(filter_normalized(model, generator())["weight"], 8 * before)


def test_a_vector_of_weights_is_one_filter():
    model = nn.Module()
    model.w = nn.Parameter(torch.tensor([3.0, 4.0]))
    assert length(filter_normalized(model, generator())) == pytest.approx(5)


def test_weights_that_cannot_move_are_refused():
    with pytest.raises(ArgumentError, match="no parameter can move"):
        filter_normalized(nn.BatchNorm1d(3), generator())
    model = nn.Linear(2, 2)
    nn.init.zeros_(model.weight)
    with pytest.raises(ArgumentError, match="filters of the model are 0"):
        filter_normalized(model, generator())


def test_moved_weights_are_new_and_0_moves_nothing():
    weights = {"a": torch.ones(2), "b": torch.ones(2)}
    direction = {"a": torch.tensor([1.0, 2.0])}
    found = moved(weights, [direction, direction], [0.0, 0.5])
    assert found["a"].tolist() == [1.5, 2.0]
    assert weights["a"].tolist() == [1, 1]
    assert moved(weights, [direction], [0.0])["a"] is weights["a"]
