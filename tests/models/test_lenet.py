import pytest
import torch

from wellposed.models import LeNet


def weights(model):
    return sum(p.numel() for p in model.parameters())


def test_has_the_sizes_of_the_lecture_on_28_pixels():
    model, x = LeNet(shape=(1, 28, 28), classes=10), torch.zeros(1, 1, 28, 28)
    sizes = []
    for layer in model.features:
        x = layer(x)
        sizes.append(tuple(x.shape[1:]))
    assert sizes == [(4, 24, 24)] * 2 + [(4, 12, 12)] + [(48, 12, 12)] * 2 + [(48, 6, 6)]
    assert weights(model) == (25 * 4 + 4) + (100 * 48 + 48) + (1728 * 10 + 10) == 22242


def test_keeps_the_size_of_digits_in_the_first_layer():
    model = LeNet(shape=(1, 8, 8), classes=10)
    assert model.features(torch.zeros(1, 1, 8, 8)).shape == (1, 48, 2, 2)
    assert weights(model) == 104 + 4848 + 192 * 10 + 10 == 6882


@pytest.mark.parametrize("side", [4, 5, 7, 15, 16, 17, 28, 29, 32])
def test_any_size_fits_its_linear_layer(side):
    assert LeNet(shape=(2, side, side), classes=3)(torch.zeros(1, 2, side, side)).shape == (1, 3)


def test_features_move_with_the_image():
    model = LeNet(shape=(1, 32, 32), classes=10)
    image = torch.zeros(1, 1, 32, 32)
    image[..., 12:18, 11:17] = torch.randn(6, 6)
    here, there = model.features(image), model.features(image.roll((4, -4), (2, 3)))
    torch.testing.assert_close(here[..., 1:-2, 2:-1], there[..., 2:-1, 1:-2])


def test_gradients_are_those_of_finite_differences():
    model = LeNet(shape=(1, 4, 4), classes=2).double()
    inputs = torch.randn(2, 1, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(model, (inputs,))
