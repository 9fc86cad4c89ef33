import pytest
import torch

from wellposed.errors import ArgumentError
from wellposed.init import Whiten
from wellposed.models import WhitenedCNN


def test_has_as_many_weights_as_counted_by_hand():
    model = WhitenedCNN(shape=(1, 28, 28), classes=10)
    blocks = 9 * (16 * 32 + 32 * 64 + 64 * 64) + 2 * (32 + 64 + 64)
    total = sum(p.numel() for p in model.parameters())
    assert total == 16 * 9 + blocks + 64 * 10 + 10 == 61_018


def test_first_layer_is_not_trained():
    model = WhitenedCNN(shape=(1, 28, 28), classes=10)
    fixed = {name for name, p in model.named_parameters() if not p.requires_grad}
    assert fixed == {"whitening.weight"}
    model(torch.randn(8, 1, 28, 28)).square().sum().backward()
    assert model.whitening.weight.grad is None


def test_whitening_reaches_the_first_layer_alone():
    model = WhitenedCNN(shape=(1, 28, 28), classes=10)
    before = {name: p.clone() for name, p in model.named_parameters()}
    Whiten()(model, torch.randn(64, 1, 28, 28), torch.Generator())
    changed = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert changed == {"whitening.weight"}


@pytest.mark.parametrize(("side", "last"), [(16, 1), (28, 1), (32, 2), (48, 3)])
def test_halves_the_sides_four_times(side, last):
    model = WhitenedCNN(shape=(3, side, side), classes=10, width=4)
    features = model.features(model.whitening(torch.zeros(2, 3, side, side)))
    assert features.shape == (2, 16, last, last)


def test_gradients_are_those_of_finite_differences():
    model = WhitenedCNN(shape=(1, 16, 16), classes=2, width=2).double().eval()
    inputs = torch.randn(1, 1, 16, 16, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(model, (inputs,))


@pytest.mark.parametrize("width", [0, -2, 15])
def test_widths_that_are_not_even_are_refused(width):
    with pytest.raises(ArgumentError, match=f"positive even width, got width={width}; try 16"):
        WhitenedCNN(shape=(1, 28, 28), classes=10, width=width)
