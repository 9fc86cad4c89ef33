import pytest
import torch
from torch import nn

from wellposed.audit import examine
from wellposed.audit._subject import weights_digest
from wellposed.losses import SquaredError
from wellposed.runs import Verdict
from wellposed.stats import paired_difference


def blobs(n, seed, classes=6):
    """Examples of classes that a small net can tell apart, shape (n, 8)."""
    generator = torch.Generator().manual_seed(seed)
    targets = torch.arange(n) % classes
    inputs = torch.randn(n, 8, generator=generator)
    inputs[torch.arange(n), targets] += 4
    return inputs, targets


def made(net, seed, width=24):
    return net(seed, nn.Linear(8, width), nn.ReLU(), nn.Linear(width, 6))


@pytest.fixture
def found(subject, net):
    def run(parts, model=None, budget="standard", **more):
        audit = examine(
            subject(model or made(net, 0), data=parts, **more), ["memorization"], budget
        )
        return audit["memorization"]

    return run


def test_true_labels_are_fitted_faster_than_random_ones(found, net):
    finding = found({"train": blobs(300, 0), "test": blobs(120, 1)})
    assert finding.verdict is Verdict.PASS
    assert finding.interval[0] > 0.05
    assert finding.evidence["examples"] == 300
    assert finding.evidence["fresh_copy"] == "weights drawn again"
    assert "began at the same weights" in finding.verified
    assert "as many of each class" in finding.verified
    assert finding.gradients == 2 * 10_000 + 80
    curve = finding.figures[0].series[0]
    assert len(curve.x) == finding.evidence["passes"] == 33


def test_twenty_healthy_seeds_raise_no_alarm(found, net):
    alarms = passed = 0
    for seed in range(20):
        parts = {"train": blobs(150, seed), "test": blobs(60, 50 + seed)}
        finding = found(parts, made(net, seed), "quick", seed=seed)
        assert finding.verdict is not Verdict.FAIL
        alarms += finding.verdict is Verdict.WARN
        passed += finding.verdict is Verdict.PASS
    assert alarms == 0
    assert passed >= 15


def test_labels_that_have_nothing_to_do_with_the_inputs_are_found(found, net):
    inputs, targets = blobs(200, 0)
    mixed = targets[torch.randperm(200, generator=torch.Generator().manual_seed(3))]
    wide = made(net, 0, width=400)
    finding = found({"train": (inputs, mixed), "test": blobs(60, 1)}, wide, "standard")
    assert finding.verdict is Verdict.WARN
    assert finding.interval[0] <= 0
    assert "whether labels belong to their inputs" in finding.remedy


def test_a_fresh_copy_that_knows_the_labels_is_found(found, net):
    parts = {"train": blobs(200, 0), "test": blobs(240, 1)}

    def pretrained():
        model = made(net, 1)
        with torch.no_grad():
            model[0].weight.copy_(torch.eye(24, 8))
            model[2].weight.copy_(torch.eye(6, 24))
        return model

    finding = found(parts, rebuild=pretrained)
    assert finding.verdict is Verdict.FAIL
    assert finding.value == 1 / 720
    assert "it is not fresh, or the labels leak" in finding.statement


def test_a_network_that_learns_nothing_in_the_time_is_unknown(found, net):
    class Blind(nn.Linear):
        def forward(self, x):
            return super().forward(torch.zeros_like(x))

    finding = found({"train": blobs(200, 0), "test": blobs(60, 1)}, net(0, Blind(8, 6)))
    assert finding.verdict is Verdict.UNKNOWN
    assert "neither was learned" in finding.statement


def test_nothing_of_the_network_changes(found, net):
    model = made(net, 0).train()
    before = weights_digest(model.state_dict())
    finding = found({"train": blobs(60, 0), "test": blobs(60, 1)}, model)
    assert finding.verdict is Verdict.PASS
    assert weights_digest(model.state_dict()) == before
    assert model.training
    assert all(p.grad is None for p in model.parameters())


def test_the_interval_is_student_s_over_examples_and_classes_are_balanced(found):
    inputs, targets = blobs(300, 0)
    keep = torch.cat([(targets != 0).nonzero().flatten(), torch.arange(0, 60, 6)])
    finding = found({"train": (inputs[keep], targets[keep]), "test": blobs(60, 1)})
    assert finding.evidence["examples"] == 60  # ten of each
    assert finding.interval[1] - finding.value == pytest.approx(finding.value - finding.interval[0])
    assert paired_difference([1.0, 2.0], [0.0, 0.5])[0] < 1.25


def test_what_it_cannot_run_on_is_said(found, subject):
    regression = examine(subject(loss=SquaredError()), ["memorization"])["memorization"]
    assert "memorization is about classifiers" in regression.statement
    assert "needs a train part" in found({"test": blobs(60, 0)}).statement
    few = found({"train": blobs(12, 0), "test": blobs(60, 1)})
    assert "at least 5 training examples, and 0 have" in few.statement
