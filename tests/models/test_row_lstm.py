import pytest
import torch

from wellposed.errors import ArgumentError
from wellposed.models import RowLSTM


def test_is_the_recurrence_written_out_by_hand():
    model = RowLSTM(shape=(2, 5, 3), classes=4, hidden=6).double()
    inputs = torch.randn(7, 2, 5, 3, dtype=torch.float64)
    lstm = model.recurrent
    hidden = cell = torch.zeros(7, 6, dtype=torch.float64)
    for t in range(5):
        row = torch.cat([inputs[:, 0, t], inputs[:, 1, t]], 1)
        gates = row @ lstm.weight_ih_l0.T + lstm.bias_ih_l0
        gates = gates + hidden @ lstm.weight_hh_l0.T + lstm.bias_hh_l0
        into, forget, new, out = gates.chunk(4, 1)
        cell = forget.sigmoid() * cell + into.sigmoid() * new.tanh()
        hidden = out.sigmoid() * cell.tanh()
    torch.testing.assert_close(model(inputs), model.classifier(hidden))


def test_has_as_many_weights_as_counted_by_hand():
    model = RowLSTM(shape=(1, 28, 28), classes=10)
    by_hand = [4 * 128 * (28 + 128 + 2), 128 * 10 + 10]
    assert sum(p.numel() for p in model.parameters()) == sum(by_hand) == 82_186


def test_layers_read_each_other():
    model = RowLSTM(shape=(1, 4, 4), classes=2, hidden=3, layers=2)
    assert model.recurrent.weight_ih_l1.shape == (12, 3)


def test_gradients_are_those_of_finite_differences():
    model = RowLSTM(shape=(1, 3, 4), classes=2, hidden=3).double()
    inputs = torch.randn(2, 1, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(model, (inputs,))


@pytest.mark.parametrize("arguments", [{"hidden": 0}, {"layers": 0}])
def test_layers_without_units_are_refused(arguments):
    with pytest.raises(ArgumentError, match="at least 1 unit and 1 layer, got"):
        RowLSTM(shape=(1, 28, 28), classes=10, **arguments)
