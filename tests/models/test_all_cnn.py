import pytest
import torch
from torch import nn

from wellposed.errors import ArgumentError
from wellposed.models import AllCNN


def test_has_the_papers_layers():
    model = AllCNN(shape=(3, 32, 32), classes=10)
    layers = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    assert [m.out_channels for m in layers] == [96] * 3 + [192] * 5 + [10]
    assert [m.kernel_size[0] for m in layers] == [3] * 7 + [1, 1]
    assert [m.stride[0] for m in layers] == [1, 1, 2, 1, 1, 2, 1, 1, 1]
    assert model.features(torch.zeros(2, 3, 32, 32)).shape == (2, 192, 6, 6)


def test_has_as_many_weights_as_counted_by_hand():
    model = AllCNN(shape=(3, 32, 32), classes=10)
    convolutions = 9 * (3 * 96 + 2 * 96 * 96 + 96 * 192 + 3 * 192 * 192) + 192 * 192
    by_hand = [convolutions, 2 * (3 * 96 + 5 * 192), 192 * 10 + 10]
    assert sum(p.numel() for p in model.parameters()) == sum(by_hand) == 1_370_986


def test_the_width_scales_every_layer():
    model = AllCNN(shape=(3, 32, 32), classes=10, width=8)
    layers = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    assert [m.out_channels for m in layers] == [8] * 3 + [16] * 5 + [10]


@pytest.mark.parametrize("arguments", [{"dropout": 0.5}, {"dropout": 0.0, "input_dropout": 0.2}])
def test_dropout_acts_in_training_only(arguments):
    model = AllCNN(shape=(3, 12, 12), classes=10, width=8, **arguments)
    inputs = torch.randn(4, 3, 12, 12)
    assert not torch.equal(model(inputs), model(inputs))
    model.eval()
    assert torch.equal(model(inputs), model(inputs))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"width": 0}, "width of at least 1, got width=0"),
        ({"dropout": 1.0}, r"AllCNN needs dropout in \[0, 1\), got 1"),
        ({"input_dropout": -0.1}, r"AllCNN needs input_dropout in \[0, 1\), got -0.1"),
    ],
)
def test_values_outside_their_ranges_are_refused(arguments, said):
    with pytest.raises(ArgumentError, match=said):
        AllCNN(shape=(3, 32, 32), classes=10, **arguments)


def test_gradients_are_those_of_finite_differences():
    model = AllCNN(shape=(1, 12, 12), classes=2, width=2).double().eval()
    inputs = torch.randn(1, 1, 12, 12, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(model, (inputs,), fast_mode=True)
