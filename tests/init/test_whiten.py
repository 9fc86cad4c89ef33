import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view
from torch import nn

from wellposed.errors import ArgumentError
from wellposed.init import Whiten


def images(channels=1, size=200):
    """Smooth images: neighbors are correlated, as in photographs."""
    generator = torch.Generator().manual_seed(5)
    noise = torch.randn(size, channels, 14, 14, generator=generator)
    return nn.functional.avg_pool2d(noise, 3, stride=1) + 0.1 * noise[..., 1:-1, 1:-1]


def second_moment(layer, inputs):
    """Of the layer's outputs, over all images and pixels."""
    rows = layer(inputs).detach().double().transpose(0, 1).flatten(1)
    return rows @ rows.T / rows.shape[1]


@pytest.mark.parametrize(("channels", "filters"), [(1, 18), (3, 54), (3, 20)])
def test_outputs_on_the_data_are_white(channels, filters, generator):
    layer, inputs = nn.Conv2d(channels, filters, 3, bias=False), images(channels)
    Whiten(epsilon=1e-9, stride=1)(layer, inputs, generator)
    found = second_moment(layer, inputs)[: filters // 2, : filters // 2]
    torch.testing.assert_close(
        found, torch.eye(filters // 2, dtype=torch.float64), atol=2e-3, rtol=0
    )


def test_filters_are_numpys_principal_axes_shrunk_by_epsilon(generator):
    inputs, layer = images(), nn.Conv2d(1, 8, 3)
    Whiten(epsilon=0.05, stride=1)(layer, inputs, generator)
    patches = sliding_window_view(inputs[:, 0].numpy(), (3, 3), axis=(1, 2)).reshape(-1, 9)
    values, vectors = np.linalg.eigh(patches.T.astype(float) @ patches / len(patches))
    for i in range(4):  # the largest first
        right = vectors[:, -1 - i] / np.sqrt(values[-1 - i] + 0.05)
        found = layer.weight[i].detach().numpy().ravel()
        assert abs(found @ right) == pytest.approx(right @ right, rel=1e-4)
        assert np.linalg.norm(found) == pytest.approx(np.linalg.norm(right), rel=1e-4)


def test_filters_come_in_pairs_of_both_signs_without_bias(generator):
    layer = nn.Conv2d(1, 8, 3)
    Whiten()(layer, images(), generator)
    assert torch.equal(layer.weight[:4], -layer.weight[4:])
    assert not layer.bias.any()


def test_relu_after_it_loses_nothing(generator):
    layer, inputs = nn.Conv2d(1, 18, 3), images()
    Whiten()(layer, inputs, generator)
    plus, minus = layer(inputs).relu().chunk(2, dim=1)
    torch.testing.assert_close(plus - minus, layer(inputs)[:, :9])


def test_filters_beyond_two_per_dimension_stay(generator):
    layer = nn.Conv2d(1, 21, 3)
    before = layer.weight.detach().clone()
    Whiten()(layer, images(), generator)
    assert torch.equal(layer.weight[18:], before[18:])
    assert not torch.equal(layer.weight[:18], before[:18])


def test_only_the_first_convolution_is_set(generator):
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3, bias=False))
    before = model[1].weight.clone()
    Whiten()(model, images(), generator)
    assert torch.equal(model[1].weight, before)


def test_constant_inputs_give_finite_filters(generator):
    layer = nn.Conv2d(1, 18, 3, bias=False)
    Whiten()(layer, torch.zeros(4, 1, 8, 8), generator)
    assert layer.weight.isfinite().all()
    assert layer.weight.abs().max() <= 10.001  # 1 / sqrt(epsilon)


@pytest.mark.parametrize("model", [nn.Linear(4, 4), nn.Conv2d(4, 4, 3, groups=2)])
def test_models_without_a_plain_convolution_are_refused(model, generator):
    with pytest.raises(ArgumentError, match="none with all channels in one group"):
        Whiten()(model, torch.zeros(2, 4, 8, 8), generator)


@pytest.mark.parametrize(
    ("inputs", "found"),
    [
        (None, "got none"),
        (torch.zeros(5, 64), r"inputs of shape \(64,\)"),
        (torch.zeros(5, 3, 8, 8), r"inputs of shape \(3, 8, 8\)"),
    ],
)
def test_inputs_that_are_not_its_images_are_refused(inputs, found, generator):
    with pytest.raises(ArgumentError, match=f"training images of 1 channels, .*{found}"):
        Whiten()(nn.Conv2d(1, 4, 3), inputs, generator)


def test_values_outside_their_range_are_refused():
    with pytest.raises(ArgumentError, match=r"epsilon > 0, got 0; try 0\.01"):
        Whiten(epsilon=0.0)
    with pytest.raises(ArgumentError, match="stride of at least 1, got 0"):
        Whiten(stride=0)
