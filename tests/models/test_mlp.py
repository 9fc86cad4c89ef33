import pytest
import torch
from torch import nn

from wellposed.errors import ArgumentError, UnknownNameError
from wellposed.models import MLP

INPUTS = torch.linspace(-1, 1, 12, dtype=torch.float64).view(4, 3)


def test_composes_layers_and_activations():
    model = MLP(shape=(3,), classes=2, hidden=(5, 4), activation="tanh").double()
    first, second, last = (m for m in model.layers if isinstance(m, nn.Linear))
    hidden = torch.tanh(second(torch.tanh(first(INPUTS))))
    torch.testing.assert_close(model(INPUTS), last(hidden))


def test_has_as_many_weights_as_counted_by_hand():
    model = MLP(shape=(1, 28, 28), classes=10, hidden=[128])
    assert sum(p.numel() for p in model.parameters()) == 784 * 128 + 128 + 1280 + 10 == 101770


def test_without_hidden_layers_is_linear():
    model = MLP(shape=(3,), classes=2, hidden=()).double()
    torch.testing.assert_close(model(2 * INPUTS) - model(INPUTS), model(INPUTS) - model(0 * INPUTS))


@pytest.mark.parametrize(
    "activation", ["elu", "gelu", "relu", "sigmoid", "silu", "softplus", "tanh"]
)
def test_gradients_are_those_of_finite_differences(activation):
    model = MLP(shape=(3,), classes=2, hidden=(4,), activation=activation).double()
    weights = dict(model.named_parameters())

    def outputs(*values):
        named = dict(zip(weights, values, strict=True))
        return torch.func.functional_call(model, named, INPUTS)

    assert torch.autograd.gradcheck(outputs, tuple(weights.values()))


def test_unknown_activations_are_refused_with_the_nearest():
    with pytest.raises(UnknownNameError, match="no activation is called 'thanh'; did you mean 'ta"):
        MLP(shape=(3,), classes=2, activation="thanh")


def test_layers_without_units_are_refused():
    with pytest.raises(ArgumentError, match=r"hidden=\(5, 0\)"):
        MLP(shape=(3,), classes=2, hidden=(5, 0))


def test_batch_norm_stands_before_the_activation_and_dropout_behind_it():
    model = MLP(shape=(3,), classes=2, hidden=(5, 4), batch_norm=True, dropout=0.2)
    kinds = [type(layer) for layer in model.layers]
    block = [nn.Linear, nn.BatchNorm1d, nn.ReLU, nn.Dropout]
    assert kinds == [*block, *block, nn.Linear]
    assert [m.num_features for m in model.layers if isinstance(m, nn.BatchNorm1d)] == [5, 4]


def test_mnistfc_has_as_many_weights_as_counted_by_hand():
    model = MLP(shape=(1, 28, 28), classes=10, hidden=(1024, 1024), batch_norm=True, dropout=0.2)
    by_hand = [785 * 1024, 2048, 1025 * 1024, 2048, 1025 * 10]
    assert sum(p.numel() for p in model.parameters()) == sum(by_hand) == 1_867_786


def test_dropout_acts_in_training_only():
    model = MLP(shape=(3,), classes=2, hidden=(50,), dropout=0.5).double()
    assert not torch.equal(model(INPUTS), model(INPUTS))
    model.eval()
    assert torch.equal(model(INPUTS), model(INPUTS))


@pytest.mark.parametrize("dropout", [-0.1, 1.0])
def test_dropout_outside_its_range_is_refused(dropout):
    with pytest.raises(ArgumentError, match=r"MLP needs dropout in \[0, 1\), got"):
        MLP(shape=(3,), classes=2, dropout=dropout)
