import pytest
import torch
from torch import nn

from wellposed.certify import trace
from wellposed.errors import ArgumentError


def test_operations_compute_what_the_module_does(make, kind, traced):
    model = make(kind)
    x = torch.rand((5, 2, 6, 6), generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(
        traced(kind)(x.double()), model(x).detach().double(), rtol=1e-5, atol=1e-5
    )


def test_double_precision_is_kept(make):
    model = make("mixed").double()
    model.std = model.std.double()
    x = torch.rand(5, 2, 6, 6, dtype=torch.float64)
    torch.testing.assert_close(
        trace(model, (2, 6, 6))(x), model(x).detach(), rtol=1e-12, atol=1e-12
    )


def test_the_module_is_left_as_it_was(make):
    model = make("mixed")
    model.train()
    model.norm.eval()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    state = torch.get_rng_state()
    trace(model, (2, 6, 6))
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(p.requires_grad and p.grad is None for p in model.parameters())


def test_a_module_without_parameters():
    graph = trace(nn.Sequential(nn.Flatten(), nn.ReLU()), (2, 3))
    assert graph.operations[-1].shape == (6,)


class Branch(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


class Noise(nn.Module):
    """Reads its noise from a state that export cannot see change."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return x * self.calls


class Two(nn.Module):
    def forward(self, x):
        return x, x


class Blind(nn.Module):
    def __init__(self):
        super().__init__()
        self.constant = nn.Parameter(torch.ones(1, 2))

    def forward(self, x):
        del x
        return self.constant


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Branch(), "torch.export cannot trace Branch on inputs of shape \\(4,\\)"),
        (Noise(), "give another output than the module"),
        (Two(), "returns 2 values"),
        (Blind(), "depends on the input"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_refusals(model, message):
    with pytest.raises(ArgumentError, match=message):
        trace(model, (4,))
