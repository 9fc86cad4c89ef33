"""A saddle that is planted, its healthy twin, and a slope."""

import torch
from torch import nn

from wellposed.audit import Subject, examine
from wellposed.losses import SquaredError
from wellposed.runs import Verdict


class Product(nn.Module):
    """x a b: a deep linear network of one unit, whose only saddle is a = b = 0."""

    def __init__(self, a, b):
        super().__init__()
        self.a, self.b = nn.Parameter(torch.tensor([[a]])), nn.Parameter(torch.tensor([[b]]))

    def forward(self, x):
        return x @ self.a @ self.b


def found(a, b, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(200, 1, generator=generator)
    y = x + 0.1 * torch.randn(200, 1, generator=generator)
    return examine(Subject(Product(a, b), {"train": (x, y)}, SquaredError()), ["saddle"])["saddle"]


def test_the_saddle_of_a_deep_linear_net_is_found():
    # At 0 the Hessian is -E[x y] [[0, 1], [1, 0]]: eigenvalues -E[xy] and E[xy].
    finding = found(0.0, 0.0)
    assert finding.verdict is Verdict.WARN, finding.statement
    assert -1.3 < finding.value < -0.7
    assert abs(finding.evidence["negative_mass"] - 0.5) < 1e-3
    assert finding.remedy


def test_the_minimum_passes():
    for seed in range(5):
        assert found(1.0, 1.0, seed).verdict is not Verdict.WARN
    assert found(1.0, 1.0).evidence["negative_mass"] < 0.05


def test_on_a_slope_it_does_not_decide():
    finding = found(0.2, 0.4)
    assert finding.verdict is Verdict.UNKNOWN
    assert "no critical point" in finding.statement


def test_it_needs_weights(subject, net):
    finding = examine(subject(net(0).requires_grad_(requires_grad=False)), ["saddle"])["saddle"]
    assert finding.verdict is Verdict.UNKNOWN
    assert "no parameters" in finding.statement
