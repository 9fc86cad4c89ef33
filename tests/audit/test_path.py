import numpy as np
import pytest
import torch
from torch import nn

from wellposed.audit import Subject, examine
from wellposed.runs import Verdict


class Well(nn.Module):
    """The outputs are the weight, once per example, and a number of the example's own."""

    def __init__(self, w):
        super().__init__()
        self.w = nn.Parameter(torch.tensor([float(w)], dtype=torch.float64))

    def forward(self, inputs):
        return torch.stack([self.w.expand(len(inputs)), inputs], 1)


def well(w, w0, loss):
    """A loss of one weight, the same for all examples but for a little noise."""
    noise = 0.01 * torch.randn(100, generator=torch.Generator().manual_seed(0)).double()
    initial = {"w": torch.tensor([float(w0)], dtype=torch.float64)}
    model = Well(w)
    data = {"train": (noise, torch.zeros(100))}
    return Subject(model, data, lambda z, _: loss(z[:, 0]) + 1 + z[:, 1], initial=initial)


def found(subject, budget="standard"):
    return examine(subject, ["path"], budget)["path"]


def test_a_parabola_is_followed_to_its_minimum():
    finding = found(well(1, -1, lambda w: (w - 1).square()))
    a, f = (np.array(v) for v in (finding.figures[0].series[0].x, finding.figures[0].series[0].y))
    assert f - f[20] == pytest.approx(4 * (1 - a) ** 2, abs=1e-12)
    assert finding.verdict is Verdict.PASS
    assert finding.evidence["barrier"]["height"] < 0
    assert finding.evidence["steps_that_rise_for_certain"] == 0
    assert finding.value == pytest.approx(-4 * 0.05**2 / (1 + 0), abs=0.002)


def test_a_barrier_is_measured_and_is_no_fault():
    finding = found(well(1, -1, lambda w: (w.square() - 1).square()))
    assert finding.evidence["barrier"]["height"] == pytest.approx(1)
    assert "over a barrier of 1 [1, 1]" in finding.statement
    assert finding.evidence["steps_that_rise_for_certain"] == 10
    assert finding.verdict is Verdict.PASS


def test_weights_half_way_to_the_minimum_are_found():
    finding = found(well(0, -1, lambda w: (w - 1).square()))
    assert finding.verdict is Verdict.WARN
    assert finding.value == pytest.approx(0.75 / 2, rel=0.01)
    assert "train on" in finding.remedy


def test_training_that_made_it_worse_is_found():
    finding = found(well(3, 0, lambda w: w.square()))
    assert finding.verdict is Verdict.WARN
    assert finding.statement.startswith("Training raised the train loss, from 1 ")


def trained(net, blobs, seed, steps):
    model, (inputs, targets) = net(seed), blobs(100, seed)
    initial = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs), targets).backward()
        optimizer.step()
    return Subject(model, {"train": (inputs, targets)}, initial=initial)


def test_training_that_stopped_at_once_is_found(net, blobs):
    for seed in range(5):
        assert found(trained(net, blobs, seed, 3), "quick").verdict is Verdict.WARN


def test_twenty_trained_networks_raise_no_alarm(net, blobs):
    verdicts = [found(trained(net, blobs, seed, 60), "quick").verdict for seed in range(20)]
    assert Verdict.WARN not in verdicts


def test_without_initial_weights_it_says_so(subject, net):
    finding = found(subject())
    assert finding.verdict is Verdict.UNKNOWN
    assert "needs the initial weights" in finding.statement
    assert finding.gradients == 0
    same = net()
    finding = found(subject(same, initial=same.state_dict()))
    assert "the initial weights are the weights themselves" in finding.statement
    finding = found(subject(same, initial=nn.Linear(2, 2).state_dict()))
    assert "does not fit" in finding.statement


def test_half_way_it_is_that_of_a_copy(net, blobs):
    model = net(0, nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))
    torch.manual_seed(1)
    fresh = net(1, nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))
    finding = found(Subject(model, {"train": blobs(60)}, initial=fresh.state_dict()), "quick")
    words = finding.verified.split()
    assert float(words[5].strip(",")) == pytest.approx(float(words[7]), rel=1e-4)
    assert finding.evidence["batch_norm"] == "statistics measured anew at every point"
