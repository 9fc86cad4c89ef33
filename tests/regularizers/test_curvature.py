import pytest
import torch
from torch import nn

from wellposed.errors import ArgumentError
from wellposed.losses import SquaredError
from wellposed.regularizers import Curvature


@pytest.mark.parametrize("h", [0.01, 1.5])
def test_of_least_squares_it_is_exact_for_each_h(h):
    # l = |Wx - y|^2 / 2 has the Hessian W'W, so that R = gamma h^2 |W'W z|^2.
    torch.manual_seed(0)
    model = nn.Linear(5, 3).double()
    inputs, targets = torch.randn(4, 5).double(), torch.randn(4, 3).double()
    w = model.weight
    z = ((model(inputs) - targets) @ w).sign() / 5**0.5
    wanted = 0.7 * h**2 * (z @ (w.T @ w)).square().sum(1).mean()
    found = Curvature(0.7, h).penalty(model, inputs, targets, SquaredError())
    torch.testing.assert_close(found, wanted)
    ours, theirs = (torch.autograd.grad(v, w)[0] for v in (found, wanted))
    torch.testing.assert_close(ours, theirs)


def test_two_forward_passes_are_enough():
    model, seen = nn.Linear(5, 3), []
    model.register_forward_hook(lambda *_: seen.append(1))
    Curvature(1.0, 0.5).objective(model, torch.rand(4, 5), torch.arange(4) % 3)
    assert len(seen) == 2


def test_where_the_gradient_is_zero_nothing_is_not_a_number():
    model = nn.Linear(5, 3)
    nn.init.zeros_(model.weight)
    value = Curvature(1.0, 0.5).objective(model, torch.rand(4, 5), torch.arange(4) % 3)
    value.backward()
    assert model.weight.grad.isfinite().all()


def test_what_is_outside_its_range_is_refused():
    with pytest.raises(ArgumentError, match="length h > 0"):
        Curvature(1.0, 0.0)
    with pytest.raises(ArgumentError, match="weight >= 0"):
        Curvature(float("nan"), 1.0)
