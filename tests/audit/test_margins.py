import math

import pytest
import torch
from torch import nn

from wellposed.audit import examine
from wellposed.audit._margins import distributions, margin
from wellposed.losses import SquaredError
from wellposed.runs import Verdict
from wellposed.stats import clopper_pearson


class Shown(nn.Module):
    """Its inputs are its logits."""

    def forward(self, x):
        return x


def logits(margins):
    """Logits of three classes with these margins for class 1."""
    m = torch.tensor(margins)
    return torch.stack([-m, torch.zeros(len(m)), -m - 1], 1), torch.ones(len(m), dtype=int)


@pytest.fixture
def found(subject):
    def run(parts, model=None):
        return examine(subject(model or Shown(), data=parts), ["margins"])["margins"]

    return run


def test_a_margin_is_the_distance_to_the_best_other_class():
    outputs = torch.tensor([[1.0, 4.0, 2.0], [1.0, 4.0, 2.0], [3.0, 3.0, 3.0]])
    assert margin(outputs, torch.tensor([1, 2, 0])).tolist() == [2, -2, 0]


def test_margins_are_counted(found):
    values = [-2.0, -0.5, 0.5, 0.69, 0.7, 3.0] * 100
    finding = found({"train": logits([1.0] * 10), "test": logits(values)})
    assert finding.verdict is Verdict.PASS
    assert finding.evidence["counts"]["test"] == {
        "negative": 200, "within_ln_2": 300, "examples": 600,
    }  # fmt: skip
    assert finding.evidence["medians"] == {"train": 1.0, "test": pytest.approx((0.5 + 0.69) / 2)}
    assert finding.verified.startswith("200 negative margins and 200 errors")
    assert finding.interval == clopper_pearson(0, 600)
    assert "33.33 %" in finding.statement


def test_a_network_that_says_nothing_is_found(found, subject, net, blobs):
    dead = net(0, nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    with torch.no_grad():
        dead[0].bias.fill_(-100)
        dead[2].weight.fill_(1)
        dead[2].bias.zero_()
    finding = found({"train": blobs(60), "test": blobs(90, 1)}, dead)
    assert finding.verdict is Verdict.WARN
    assert finding.value == 1
    assert finding.verified.endswith("up to ties")


def test_twenty_healthy_seeds_raise_no_alarm(subject, net, blobs):
    for seed in range(20):
        parts = {"train": blobs(90, seed), "test": blobs(600, 50 + seed)}
        finding = examine(subject(net(seed), data=parts), ["margins"])["margins"]
        assert finding.verdict is Verdict.PASS
        assert finding.verified.endswith("up to ties")


def test_ties_within_rounding_count(found):
    values = [3.0] * 80 + [0.0] * 10 + [1e-8] * 10
    inputs, targets = logits(values)
    finding = found({"test": (inputs + 1, targets)})
    assert finding.value == 0.2
    assert finding.verdict is Verdict.WARN


def test_the_figure_is_the_distribution_function_with_its_band():
    figure = distributions({"test": torch.arange(50.0).numpy()}, "m", "M")
    [series] = figure.series
    assert series.x == tuple(map(float, range(50)))
    assert series.y == pytest.approx([(i + 1) / 50 for i in range(50)])
    half = math.sqrt(math.log(40) / 100)
    assert series.high[10] - series.y[10] == pytest.approx(half)
    assert (series.low[0], series.high[-1]) == (0, 1)


def test_what_it_cannot_run_on_is_said(found, subject):
    regression = examine(subject(loss=SquaredError()), ["margins"])["margins"]
    assert "margins is about classifiers" in regression.statement
    inputs, targets = logits([1.0] * 4)
    inputs[1, 2] = torch.inf
    finding = found({"test": (inputs, targets)})
    assert finding.verdict is Verdict.UNKNOWN
    assert "of 1 of 4 examples of test are not finite" in finding.statement
