import pytest
import torch
from torch import nn

from wellposed.audit import examine
from wellposed.runs import Verdict


@pytest.fixture
def found():
    return lambda subject, budget="standard": examine(subject, ["adjoint"], budget)["adjoint"]


def test_each_module_of_a_smooth_network(found, subject):
    finding = found(subject())
    assert finding.verdict is Verdict.PASS
    assert (finding.evidence["modules"], finding.evidence["in_forward_mode"]) == (3, 3)
    assert finding.evidence["rounding"] < 1e-13
    assert finding.interval[1] < 1e-6


def test_healthy_networks_pass(found, healthy):
    for seed in range(2):
        finding = found(healthy(seed))
        assert finding.verdict is Verdict.PASS, finding.statement
        assert not finding.evidence["not_tested"]


@pytest.mark.parametrize(
    ("fault", "place", "by"),
    [
        (("tanh", 1.001), "1 (Tanh)", "1, by input 0"),
        (("tanh", -1.0), "1 (Tanh)", "1, by input 0"),
        (("bias", 6, 6), "1 (NoBiasGradient)", "1, by bias"),
        (("detached",), "1 (HalfDetached)", "1, by input 0"),
    ],
    ids=["factor", "sign", "bias", "detach"],
)
def test_the_culprit_is_named_with_what_is_wrong_in_it(found, faulty, fault, place, by):
    finding = found(faulty(*fault))
    assert finding.verdict is Verdict.FAIL
    assert f"The backward of {place} is not" in finding.statement
    assert finding.where == by
    assert finding.interval[0] > 1e-4


def test_the_twin_of_the_wrong_backward_passes_by_differences_alone(found, faulty):
    finding = found(faulty("tanh", 1.0))
    assert finding.verdict is Verdict.PASS
    assert finding.evidence["in_forward_mode"] == 2  # of 3


def test_a_fault_inside_a_block_is_its_part_and_one_between_parts_is_the_block(found, subject, net):
    class Block(nn.Module):
        def __init__(self, inner, detach):
            super().__init__()
            self.inner, self.detach = inner, detach

        def forward(self, inputs):
            return self.inner(inputs) + (inputs.detach() if self.detach else inputs)

    def examined(inner, detach):
        return found(subject(net(0, nn.Linear(4, 4), Block(inner, detach), nn.Linear(4, 3))))

    class Half(nn.Module):
        def forward(self, inputs):
            return (inputs + inputs.detach()) / 2

    assert examined(nn.Tanh(), False).verdict is Verdict.PASS
    assert "of 1 (Block)" in examined(nn.Tanh(), True).statement
    assert "of 1.inner (Half)" in examined(Half(), False).statement


def test_a_forward_mode_that_disagrees_is_a_failure_too(found, subject, net):
    class Doubled(torch.autograd.Function):
        @staticmethod
        def forward(inputs):
            return 2 * inputs

        @staticmethod
        def setup_context(ctx, inputs, output):
            pass

        @staticmethod
        def backward(ctx, gradient):  # noqa: ARG004
            return 2 * gradient

        @staticmethod
        def jvp(ctx, tangent):  # noqa: ARG004
            return 2.0000001 * tangent

    class Twice(nn.Module):
        def forward(self, inputs):
            return Doubled.apply(inputs)

    finding = found(subject(net(0, nn.Linear(4, 4), Twice(), nn.Linear(4, 3))))
    assert finding.verdict is Verdict.FAIL
    assert 1e-9 < finding.interval[0] < 1e-6
    assert "100 eps sqrt(n)" in finding.threshold.source


def test_a_layer_that_draws_is_unknown_and_the_others_are_tested(found, subject, net):
    class Noise(nn.Module):
        def forward(self, inputs):
            return inputs + torch.rand_like(inputs)

    finding = found(subject(net(0, nn.Linear(4, 4), Noise(), nn.Linear(4, 3))))
    assert finding.verdict is Verdict.UNKNOWN
    assert "1 (Noise): it gives another value when asked again" in finding.statement
    assert finding.evidence["modules"] == 2


def test_attention_recurrence_and_embedding_are_tested_one_by_one(found, healthy):
    finding = found(healthy(3))
    shown = " ".join(finding.figures[0].labels)
    names = [type(m).__name__ for m in healthy(3).model.modules()]
    for kind in ("LSTM", "Embedding", "MultiheadAttention", "Residual", "MaxPool2d"):
        if kind in names:
            assert kind in shown


def test_what_it_cannot_run_on_is_said(found, subject):
    class Bare(nn.Module):
        def forward(self, inputs):
            return inputs.detach().round()

    finding = found(subject(Bare(), classes=()))
    assert finding.verdict is Verdict.UNKNOWN
    assert "found no module with inputs or parameters that are floats" in finding.statement
