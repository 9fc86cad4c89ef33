import numpy as np
import pytest
import torch
from tests.audit.zoo import digits, made
from torch import nn

from wellposed.audit import Subject, barrier, examine
from wellposed.audit._permutable import permutable, permuted
from wellposed.runs import Verdict


def trained(net, inputs, targets, seed, *, norm=False):
    torch.manual_seed(seed)
    layers = [
        nn.Linear(4, 12),
        *([nn.BatchNorm1d(12)] if norm else []),
        nn.ReLU(),
        nn.Linear(12, 3),
    ]
    model = net(seed, *layers)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    for _ in range(150):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs), targets).backward()
        optimizer.step()
    return model


def rings(n=200):
    """Three classes that no linear classifier separates."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(n, 4, generator=generator)
    return inputs, inputs.square().sum(1).div(2.2).floor().clamp(max=2).long()


@pytest.mark.parametrize("norm", [False, True])
def test_a_permuted_twin_has_a_barrier_that_matching_removes_exactly(net, norm):
    inputs, targets = rings()
    model = trained(net, inputs, targets, 0, norm=norm)
    order = {"0": torch.randperm(12, generator=torch.Generator().manual_seed(1))}
    twin = permuted(permutable(model), model.state_dict(), order)
    finding = barrier(Subject(model, {"train": (inputs, targets)}, other=twin))
    found = finding.evidence["barriers"]
    assert found["straight"]["interval"][0] > 0.05
    assert found["matched"]["height"] == pytest.approx(0, abs=1e-7)
    assert finding.value == found["matched"]["height"]
    moved = int((order["0"] != torch.arange(12)).sum())
    assert f"with {moved} of 12 hidden units moved the other run's outputs" in finding.verified
    assert finding.verdict is Verdict.PASS


def test_two_runs_with_a_curve_that_is_lower_than_the_line(net):
    inputs, targets = rings()
    model, other = (trained(net, inputs, targets, seed) for seed in (0, 1))
    state = {n: v.clone() for n, v in model.state_dict().items()}
    made_ = Subject(model, {"train": (inputs, targets)}, other=other.state_dict())
    finding = barrier(made_, curve=60_000)
    heights = {n: b["height"] for n, b in finding.evidence["barriers"].items()}
    assert list(heights) == ["straight", "matched", "curved"]
    assert max(heights["curved"], heights["matched"]) < heights["straight"]
    assert all(torch.equal(model.state_dict()[n], v) for n, v in state.items())
    ends = {(s.y[0], s.y[-1]) for s in finding.figures[0].series[:2]}
    assert np.ptp([e for e, _ in ends]) < 1e-6


class Two(nn.Module):
    """A double well in one weight."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.tensor([-1.0], dtype=torch.float64))

    def forward(self, inputs):
        return torch.stack([(self.w.square() - 1).square().expand(len(inputs)), inputs], 1)


def test_the_height_is_that_of_the_closed_form_and_why_not_is_said():
    z = 0.1 * torch.randn(50, generator=torch.Generator().manual_seed(0)).double()
    other = {"w": torch.tensor([1.0], dtype=torch.float64)}
    subject = Subject(
        Two(), (z, torch.zeros(50)), lambda out, _: out[:, 0] + out[:, 1], other=other
    )
    finding = barrier(subject)
    assert finding.value == pytest.approx(1)
    assert finding.interval == pytest.approx((1, 1))
    assert "units were not matched: " in finding.statement
    assert "on a copy with the weights written" in finding.verified


def test_a_residual_network_is_measured_straight_and_says_why():
    model, other = made("resnet"), made("resnet", 1)
    subject = Subject(model, digits("resnet", 60), other=other.state_dict())
    finding = barrier(subject, points=3)
    assert list(finding.evidence["barriers"]) == ["straight"]
    assert "as in a residual network" in finding.statement
    assert finding.evidence["batch_norm"] == "statistics measured anew at every point"
    a, b = map(float, (finding.verified.split()[5].strip(","), finding.verified.split()[7]))
    assert a == pytest.approx(b, rel=1e-4)


def test_without_a_second_run_it_says_so(subject, net):
    finding = examine(subject(), ["barrier"])["barrier"]
    assert finding.verdict is Verdict.UNKNOWN
    assert "needs the weights of a second run" in finding.statement
    assert finding.gradients == 0
    model = net()
    finding = examine(subject(model, other=model.state_dict()), ["barrier"])["barrier"]
    assert "both runs have the same weights" in finding.statement
