import pytest
import torch
from jaxtyping import TypeCheckError
from torch import nn
from torch.nn import functional

from wellposed.errors import ArgumentError
from wellposed.models import ResNet


def by_hand(depth, width, channels, classes, *, projection=False):
    n = (depth - 2) // 6
    total = 9 * channels * width + 2 * width
    fan_in = width
    for stage in range(3):
        fan_out = width * 2**stage
        total += 9 * fan_in * fan_out + 9 * fan_out**2 * (2 * n - 1) + 2 * n * 2 * fan_out
        if projection and stage > 0:
            total += fan_in * fan_out + 2 * fan_out
        fan_in = fan_out
    return total + fan_in * classes + classes


def weights(model):
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(
    ("depth", "published"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7)]
)
def test_has_the_published_number_of_weights_in_millions(depth, published):
    # He et al. (2016), table 6.
    model = ResNet(shape=(3, 32, 32), classes=10, depth=depth)
    assert weights(model) == by_hand(depth, 16, 3, 10)
    assert weights(model) / 1e6 == pytest.approx(published, abs=0.006 if depth < 100 else 0.06)


def test_depth_counts_convolutions_and_the_classifier():
    model = ResNet(shape=(3, 32, 32), classes=10, depth=26)
    layers = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(layers) == 26


def test_projections_cost_two_small_convolutions():
    model = ResNet(shape=(1, 28, 28), classes=10, width=8, shortcut="projection")
    assert weights(model) == by_hand(20, 8, 1, 10, projection=True)
    assert model(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


@pytest.mark.parametrize(("side", "last"), [(28, 7), (32, 8), (8, 2), (9, 3)])
def test_halves_the_sides_twice(side, last):
    model = ResNet(shape=(3, side, side), classes=10, depth=8)
    features = model.blocks(model.stem(torch.zeros(2, 3, side, side)))
    assert features.shape == (2, 64, last, last)


def silence(model):
    """Make the residual of every block vanish: what is left are the shortcuts."""
    for block in model.blocks:
        nn.init.zeros_(block.residual[-1].weight)


def test_without_residuals_images_pass_through_the_identity():
    model = ResNet(shape=(3, 32, 32), classes=10, depth=14).eval()
    silence(model)
    stem = model.stem(torch.randn(2, 3, 32, 32))
    found = model.blocks(stem)
    # Two stages of every other pixel, with 8 + 8 and then 16 + 16 channels of zeros.
    right = functional.pad(stem[:, :, ::4, ::4], (0, 0, 0, 0, 24, 24))
    assert torch.equal(found, right)


def test_features_move_with_the_image():
    model = ResNet(shape=(1, 96, 96), classes=10, depth=8).eval()
    image = torch.zeros(1, 1, 96, 96)
    image[..., 44:52, 44:52] = torch.randn(8, 8)
    here, there = (model.blocks(model.stem(x)) for x in (image, image.roll((4, -4), (2, 3))))
    assert here.abs().max() > 0
    torch.testing.assert_close(here.roll((1, -1), (2, 3)), there)


def test_gradients_are_those_of_finite_differences():
    model = ResNet(shape=(1, 8, 8), classes=2, depth=8, width=1).double().eval()
    inputs = torch.randn(2, 1, 8, 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(model, (inputs,))


@pytest.mark.parametrize(("depth", "near"), [(18, 14), (2, 8), (-4, 8), (21, 20)])
def test_depths_that_are_not_6n_plus_2_are_refused_with_a_near_one(depth, near):
    with pytest.raises(ArgumentError, match=rf"6n \+ 2, got depth={depth}; try {near}"):
        ResNet(shape=(3, 32, 32), classes=10, depth=depth)


def test_unknown_shortcuts_and_no_width_are_refused():
    refusals = (ArgumentError, TypeCheckError)
    with pytest.raises(refusals, match=r"identity and projection, got 'c'|Actual value: 'c'"):
        ResNet(shape=(3, 32, 32), classes=10, shortcut="c")
    with pytest.raises(ArgumentError, match="got width=0"):
        ResNet(shape=(3, 32, 32), classes=10, width=0)
