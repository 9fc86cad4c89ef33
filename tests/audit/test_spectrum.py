"""Trace and density of a Hessian that is known."""

import pytest
import torch
from torch import nn

from wellposed.audit import Subject, examine
from wellposed.losses import SquaredError
from wellposed.runs import Verdict


def test_of_a_linear_regression_it_is_the_closed_form():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(90, 12, generator=generator)
    made = Subject(nn.Linear(12, 4, bias=False), {"train": (x, torch.zeros(90, 4))}, SquaredError())
    finding = examine(made, ["spectrum"])["spectrum"]
    second = x.T @ x / 90
    trace, square = 4 * float(second.trace()), 4 * float(second.square().sum())
    assert finding.verdict is Verdict.PASS
    assert finding.interval[0] <= trace <= finding.interval[1]
    assert finding.value == pytest.approx(trace, rel=0.1)
    assert finding.evidence["negative_mass"] == pytest.approx(0, abs=1e-5)
    assert finding.evidence["effective_dimension"] == pytest.approx(trace**2 / square, rel=0.1)
    assert "finite differences" in finding.verified
    assert finding.figures[0].series[0].y[-1] <= 48.001


def test_a_classifier_answers_and_one_without_weights_says_why_not(subject, net):
    assert examine(subject(), ["spectrum"])["spectrum"].verdict is Verdict.PASS
    finding = examine(subject(net(0).requires_grad_(requires_grad=False)), ["spectrum"])["spectrum"]
    assert finding.verdict is Verdict.UNKNOWN
    assert "no parameters" in finding.statement
