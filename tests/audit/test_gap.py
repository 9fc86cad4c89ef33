import pytest
import torch
from torch import nn

from wellposed.audit import examine
from wellposed.losses import SquaredError
from wellposed.runs import Verdict
from wellposed.stats import newcombe


class Lookup(nn.Module):
    """A classifier whose logits are its inputs, so that errors can be planted one by one."""

    def forward(self, inputs):
        return inputs


def part(n, wrong):
    """n examples of 3 classes, of which the first are classified wrongly."""
    targets = torch.arange(n) % 3
    shown = targets.clone()
    shown[:wrong] = (shown[:wrong] + 1) % 3
    return nn.functional.one_hot(shown, 3).float(), targets


@pytest.fixture
def found(subject):
    def run(train, test, name="test", budget="standard"):
        data = {"train": part(*train), name: part(*test)}
        return examine(subject(Lookup(), data=data), ["gap"], budget)["gap"]

    return run


def test_counts_are_exact_and_intervals_are_those_of_the_shares(found):
    finding = found((100, 5), (50, 20))
    assert finding.evidence["wrong"] == {"train": 5, "test": 20}
    assert finding.evidence["examples"] == {"train": 100, "test": 50}
    assert finding.value == pytest.approx(0.35)
    assert finding.interval == pytest.approx(newcombe((20, 50), (5, 100)))
    assert finding.verified.endswith("equal")
    assert finding.verdict is Verdict.WARN
    assert "35.00 points apart" in finding.statement


def test_a_validation_part_serves_where_there_is_no_test_part(found):
    assert found((30, 0), (30, 12), "validation").evidence["wrong"]["validation"] == 12


def test_a_gap_alone_is_no_fault_and_a_large_one_warns(found):
    # 0 % against 5 %: surely a gap, and what a good network has.
    small = found((2000, 0), (2000, 100))
    assert small.interval[0] > 0.03
    assert small.verdict is Verdict.PASS
    assert found((2000, 0), (2000, 300)).verdict is Verdict.WARN
    unsure = found((2000, 0), (200, 22))
    assert unsure.verdict is Verdict.UNKNOWN
    assert "11.00 points apart" in unsure.statement
    assert found((2000, 300), (2000, 0)).verdict is Verdict.PASS


def test_a_gap_of_ten_points_raises_the_alarm_at_most_at_the_level(subject):
    alarms = 0
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        wrong = [int((torch.rand(300, generator=generator) < p).sum()) for p in (0.05, 0.15)]
        data = {"train": part(300, wrong[0]), "test": part(300, wrong[1])}
        audit = examine(subject(Lookup(), data=data), ["gap"])
        alarms += audit["gap"].verdict is Verdict.WARN
    assert alarms <= 2  # expected 20 * 0.025; more than 2 have probability 0.013


def test_the_budget_limits_the_examples(found):
    finding = found((1500, 3), (1200, 3), budget="quick")
    assert finding.evidence["examples"] == {"train": 1000, "test": 1000}
    assert finding.gradients == 667


def test_a_nan_output_is_an_error(subject):
    x, y = part(30, 0)
    x[:4] = float("nan")
    audit = examine(subject(Lookup(), data={"train": part(30, 0), "test": (x, y)}), ["gap"])
    assert audit["gap"].evidence["wrong"]["test"] == 4


def test_what_it_cannot_run_on_is_said(subject, blobs):
    only = examine(subject(data={"test": blobs()}), ["gap"])["gap"]
    assert only.verdict is Verdict.UNKNOWN
    assert "gap needs a train part" in only.statement
    same = examine(subject(data={"train": blobs()}), ["gap"])["gap"]
    assert "give a test part" in same.statement
    regression = examine(subject(loss=SquaredError()), ["gap"])["gap"]
    assert "gap is about classifiers" in regression.statement
