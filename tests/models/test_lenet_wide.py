import pytest
import torch
from torch import nn

from wellposed.errors import ArgumentError
from wellposed.models import LeNetWide


def test_has_20_50_and_500_units():
    model = LeNetWide(shape=(1, 28, 28), classes=10)
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    assert [m.out_channels for m in convolutions] == [20, 50]
    assert model.features(torch.zeros(2, 1, 28, 28)).shape == (2, 50, 2, 2)
    by_hand = [25 * 20 + 20, 40, 500 * 50 + 50, 100, 200 * 500 + 500, 1000, 5000 + 10]
    assert sum(p.numel() for p in model.parameters()) == sum(by_hand) == 132_220


def test_dropout_acts_in_training_only():
    model, inputs = LeNetWide(shape=(1, 28, 28), classes=10, dropout=0.5), torch.ones(2, 1, 28, 28)
    assert not torch.equal(model(inputs), model(inputs))
    model.eval()
    assert torch.equal(model(inputs), model(inputs))


def test_dropout_can_be_switched_off():
    model = LeNetWide(shape=(1, 28, 28), classes=10, dropout=0.0)
    inputs = torch.randn(4, 1, 28, 28)
    assert torch.equal(model(inputs), model(inputs))


@pytest.mark.parametrize("dropout", [-0.1, 1.0])
def test_dropout_outside_its_range_is_refused(dropout):
    with pytest.raises(ArgumentError, match=r"dropout in \[0, 1\), got .*; try 0.25"):
        LeNetWide(shape=(1, 28, 28), classes=10, dropout=dropout)


def test_gradients_are_those_of_finite_differences():
    model = LeNetWide(shape=(1, 22, 22), classes=2).double().eval()
    inputs = torch.randn(1, 1, 22, 22, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(model, (inputs,), fast_mode=True)
