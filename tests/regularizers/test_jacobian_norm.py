import pytest
import torch
from torch import nn

from wellposed.errors import ArgumentError
from wellposed.regularizers import JacobianNorm


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    return torch.rand(6, 5, dtype=torch.float64, generator=generator), torch.arange(6) % 3


def test_of_a_linear_map_it_is_the_norm_of_its_matrix(batch):
    torch.manual_seed(0)
    model = nn.Linear(5, 3).double()
    value = JacobianNorm(0.8, projections=None).penalty(model, *batch)
    torch.testing.assert_close(value, 0.4 * model.weight.square().sum())
    (gradient,) = torch.autograd.grad(value, model.weight)
    torch.testing.assert_close(gradient, 0.8 * model.weight)


def test_of_a_network_it_is_that_of_the_jacobian(batch):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3)).double()
    jacobians = torch.func.vmap(torch.func.jacrev(model))(batch[0])
    wanted = 0.5 * jacobians.square().sum((1, 2)).mean()
    found = JacobianNorm(1.0, projections=None).penalty(model, *batch)
    torch.testing.assert_close(found, wanted)


def test_projections_are_right_on_average(batch):
    # v uniform on the sphere of R^3: mean of |W'v|^2 = |W|_F^2 / 3; 4 standard errors.
    torch.manual_seed(0)
    model = nn.Linear(5, 3).double()
    inputs, targets = batch[0][:1].expand(20_000, 5), torch.zeros(20_000, dtype=torch.int64)
    exact = JacobianNorm(2.0, projections=None).penalty(model, *batch)
    one = JacobianNorm(2.0).penalty(model, inputs, targets)
    four = JacobianNorm(2.0, projections=4).penalty(model, inputs, targets)
    singular = torch.linalg.matrix_norm(model.weight, 2).square()
    error = 3 * singular.item() / 20_000**0.5  # at most: the squares are between 0 and 3 singular
    assert abs((one - exact).item()) < 4 * error
    assert abs((four - exact).item()) < 2 * error


def test_the_forward_pass_of_the_loss_is_shared(batch):
    model, seen = nn.Linear(5, 3).double(), []
    model.register_forward_hook(lambda *_: seen.append(1))
    JacobianNorm(0.1, projections=3).objective(model, *batch)
    assert len(seen) == 1


def test_what_is_outside_its_range_is_refused():
    with pytest.raises(ArgumentError, match="projections >= 1"):
        JacobianNorm(0.1, projections=0)
    with pytest.raises(ArgumentError, match="weight >= 0"):
        JacobianNorm(-0.1)
