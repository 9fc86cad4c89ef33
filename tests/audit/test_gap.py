import numpy as np
import pytest
import torch
from torch import nn

from wellposed.audit import examine
from wellposed.audit._gap import difference_interval
from wellposed.losses import SquaredError
from wellposed.runs import Verdict


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


# Newcombe (1998), Table II, method 10.
@pytest.mark.parametrize(
    ("a", "b", "interval"),
    [
        ((56, 70), (48, 80), (0.0524, 0.3339)),
        ((9, 10), (3, 10), (0.1705, 0.8090)),
        ((6, 7), (2, 7), (0.0582, 0.8062)),
        ((5, 56), (0, 29), (-0.0381, 0.1926)),
        ((0, 10), (0, 20), (-0.1611, 0.2775)),
        ((10, 10), (0, 20), (0.6791, 1.0)),
    ],
    ids=range(6),
)
def test_the_interval_is_the_published_one(a, b, interval):
    assert difference_interval(a, b) == pytest.approx(interval, abs=6e-5)


def test_the_interval_covers_at_its_level():
    # Newcombe's Table III gives a mean coverage of 0.9602 for method 10.
    generator = np.random.default_rng(0)
    shares, covered = generator.uniform(0.01, 0.4, size=(1000, 2)), 0
    for p, q in shares:
        a, b = (int(generator.binomial(n, s)) for n, s in ((200, p), (90, q)))
        low, high = difference_interval((a, 200), (b, 90))
        covered += low <= p - q <= high
    # exactly 0.95 would leave 0.93 to 0.97 with probability 0.004
    assert 0.935 <= covered / 1000 <= 0.98


def test_counts_are_exact_and_intervals_are_those_of_the_shares(found):
    finding = found((100, 5), (50, 20))
    assert finding.evidence["wrong"] == {"train": 5, "test": 20}
    assert finding.evidence["examples"] == {"train": 100, "test": 50}
    assert finding.value == pytest.approx(0.35)
    assert finding.interval == pytest.approx(difference_interval((20, 50), (5, 100)))
    assert finding.verified.endswith("equal")
    assert finding.verdict is Verdict.WARN
    assert "35.00 points apart" in finding.statement


def test_a_validation_part_serves_where_there_is_no_test_part(found):
    assert found((30, 0), (30, 12), "validation").evidence["wrong"]["validation"] == 12


def test_equal_errors_raise_the_alarm_at_most_at_the_level(subject):
    alarms = 0
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        wrong = [int((torch.rand(150, generator=generator) < 0.1).sum()) for _ in range(2)]
        data = {"train": part(150, wrong[0]), "test": part(150, wrong[1])}
        audit = examine(subject(Lookup(), data=data), ["gap"])
        alarms += audit["gap"].verdict is not Verdict.PASS
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
