import pytest
import torch
from torch.nn import functional

from wellposed.errors import ArgumentError
from wellposed.models import StridedCNN


def test_has_as_many_weights_as_counted_by_hand():
    model = StridedCNN(shape=(1, 28, 28), classes=10)
    filters = (9 * 32 + 32) + (9 * 32 * 64 + 64) + (9 * 64 * 64 + 64)
    by_hand = filters + (64 * 49 * 128 + 128) + (128 * 10 + 10)
    assert sum(p.numel() for p in model.parameters()) == by_hand == 458_570


@pytest.mark.parametrize("shape", [(1, 4, 4), (3, 5, 7), (2, 9, 6)])
def test_takes_images_of_any_size(shape):
    model = StridedCNN(shape=shape, classes=3, width=2)
    assert model(torch.rand(5, *shape)).shape == (5, 3)


def test_a_stride_is_a_convolution_of_which_every_other_value_is_left_out():
    model = StridedCNN(shape=(1, 8, 8), classes=2, width=3)
    inputs, (first, third) = torch.rand(2, 1, 8, 8), (model.features[0], model.features[4])
    x = functional.conv2d(inputs, first.weight, first.bias, padding=1)[..., ::2, ::2].relu()
    x = model.features[2](x).relu()
    x = functional.conv2d(x, third.weight, third.bias, padding=1)[..., ::2, ::2].relu()
    torch.testing.assert_close(model.features(inputs), x)


def test_gradients_are_those_of_finite_differences():
    model = StridedCNN(shape=(1, 4, 4), classes=2, width=2).double()
    inputs = torch.randn(2, 1, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(model, (inputs,))


def test_a_width_of_nothing_is_refused():
    with pytest.raises(ArgumentError, match="width >= 1"):
        StridedCNN(shape=(1, 8, 8), classes=2, width=0)
