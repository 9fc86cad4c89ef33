import torch
from torch import nn

from wellposed.perturb._opened import Opened


class Steps(nn.Module):
    """Rounds, breaks the graph, and saturates."""

    def forward(self, x):
        y = (8 * x).round_() / 8
        return torch.softmax(1000 * (y.sign() + y.detach()), 1)


def test_values_are_those_before_the_saturation_and_slopes_go_straight_through():
    x = torch.tensor([[0.3, -0.7]], dtype=torch.float64, requires_grad=True)
    found = Opened(Steps())(x)
    assert found.tolist() == [[1250.0, -1750.0]]
    [slope] = torch.autograd.grad(found.sum(), x)
    assert slope.tolist() == [[2000.0, 2000.0]]
    assert Steps()(x).tolist() == [[1.0, 0.0]]


def test_other_networks_are_as_they_were():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.LayerNorm(8), nn.Linear(8, 3))
    x = torch.rand(5, 4)
    assert torch.equal(Opened(model)(x), model(x))


def test_modules_of_torch_are_opened():
    model = nn.Sequential(nn.Linear(4, 3), nn.Softmax(1))
    x = torch.rand(5, 4)
    assert torch.equal(Opened(model)(x), model[0](x))
    assert torch.equal(Opened(nn.Sequential(model[0], nn.Sigmoid()))(x), model[0](x))
