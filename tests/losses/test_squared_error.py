import pytest
import torch

from wellposed.errors import ArgumentError
from wellposed.losses import SquaredError


def test_class_numbers_stand_for_one_hot_vectors():
    outputs = torch.tensor([[1.0, 2.0, 2.0], [0.0, 1.0, 0.0]])
    assert SquaredError()(outputs, torch.tensor([0, 1])).tolist() == [4.0, 0.0]


def test_equals_torchs_mean_squared_error_up_to_its_factor():
    outputs, targets = torch.randn(6, 4), torch.randn(6, 4)
    torchs = torch.nn.MSELoss(reduction="none")(outputs, targets).mean(1)
    torch.testing.assert_close(SquaredError()(outputs, targets), 2 * torchs)


def test_gradient_is_the_residual():
    outputs, targets = torch.randn(6, 2, requires_grad=True), torch.randn(6, 2)
    SquaredError()(outputs, targets).sum().backward()
    torch.testing.assert_close(outputs.grad, outputs.detach() - targets)


def test_one_output_takes_targets_in_a_row():
    found = SquaredError()(torch.tensor([[3.0], [1.0]]), torch.tensor([1.0, 1.0]))
    assert found.tolist() == [2.0, 0.0]


@pytest.mark.parametrize("targets", [torch.zeros(4), torch.zeros(4, 3), torch.zeros(4, 1)])
def test_targets_of_another_shape_are_refused(targets):
    with pytest.raises(ArgumentError, match=r"outputs' shape \(4, 2\), got"):
        SquaredError()(torch.zeros(4, 2), targets)
