import copy

import pytest
import torch
from torch import nn

from wellposed.train._small_layers import small_layers_in_float32


class Own(nn.Linear):
    pass


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(8, 4), nn.Sequential(nn.ReLU(), nn.Linear(4, 300_000)), Own(1, 1)
    )


def output(layer, inputs):
    with torch.autocast("cpu", torch.bfloat16):
        return layer(inputs)


def test_small_layers_compute_in_float32_under_autocast_and_large_ones_do_not():
    model = network()
    inputs = torch.randn(2, 8)
    exact = nn.functional.linear(inputs, model[0].weight, model[0].bias)
    assert not torch.equal(output(model[0], inputs).float(), exact)
    with small_layers_in_float32(model, 2):
        assert torch.equal(output(model[0], inputs), exact)
        assert torch.equal(
            output(model[0], inputs.bfloat16()),
            nn.functional.linear(inputs.bfloat16().float(), model[0].weight, model[0].bias),
        )
        assert output(model[1], torch.randn(2, 4)).dtype == torch.bfloat16  # large
        assert output(model[2], torch.randn(2, 1)).dtype == torch.bfloat16  # somebody's own
    assert output(model[0], inputs).dtype == torch.bfloat16


def test_autocast_goes_on_after_the_layer_also_when_it_fails():
    model = network()
    with small_layers_in_float32(model, 2), torch.autocast("cpu", torch.bfloat16):
        model[0](torch.randn(2, 8))
        assert torch.is_autocast_enabled("cpu")
        with pytest.raises(RuntimeError):
            model[0](torch.randn(2, 7))
        assert torch.is_autocast_enabled("cpu")
    model[0](torch.randn(2, 8))
    assert not torch.is_autocast_enabled("cpu")


def test_names_weights_and_copies_are_the_same_and_the_layers_are_given_back():
    model = network()
    names = list(model.state_dict())
    text = str(model)
    with small_layers_in_float32(model, 2):
        assert list(model.state_dict()) == names
        assert str(model) == text
        twin = copy.deepcopy(model)
        with torch.no_grad():
            twin[0].weight.zero_()
        assert output(twin[0], torch.ones(1, 8)).tolist() == [twin[0].bias.tolist()]
    assert [type(m) for m in (model[0], model[1][1], model[2])] == [nn.Linear, nn.Linear, Own]


def test_the_gradient_is_that_of_float32():
    model = nn.Linear(8, 4)
    inputs = torch.randn(16, 8)
    model(inputs).square().sum().backward()
    expected = model.weight.grad.clone()
    model.weight.grad = None
    with small_layers_in_float32(model, 16):
        output(model, inputs).square().sum().backward()
    assert torch.equal(model.weight.grad, expected)
