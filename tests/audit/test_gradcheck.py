import pytest
import torch
from torch import nn

from wellposed.audit import examine
from wellposed.runs import Verdict


@pytest.fixture
def found():
    return lambda subject: examine(subject, ["gradcheck"])["gradcheck"]


def test_torch_has_tested_its_own(found, subject):
    finding = found(subject())
    assert finding.verdict is Verdict.PASS
    assert "All layers are torch's own, in 3 modules" in finding.statement
    assert finding.evidence["tested"] == []


def test_healthy_networks_pass(found, healthy):
    for seed in range(2):
        finding = found(healthy(seed))
        assert finding.verdict is Verdict.PASS, finding.statement


@pytest.mark.parametrize("factor", [1.001, 0.0])
def test_a_wrong_function_is_found_and_named(found, faulty, factor):
    finding = found(faulty("tanh", factor))
    assert (finding.verdict, finding.where) == (Verdict.FAIL, "1")
    assert finding.evidence["functions"] == ["TimesFactor"]
    assert "Jacobian mismatch" in finding.figures[0].rows[0][1]


def test_its_right_twin_passes_over_seeds(found, faulty):
    finding = found(faulty("tanh", 1.0))
    assert finding.verdict is Verdict.PASS
    assert finding.evidence["tested"] == ["1 (Tanh)"]


def test_own_layers_without_a_function_of_their_own(found, faulty):
    assert found(faulty("bias", 6, 6)).where == "1"
    assert found(faulty("detached")).where == "1"


def test_a_function_in_a_block_is_found_where_it_is_applied(found, subject, net):
    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx, inputs):  # noqa: ARG004
            return inputs * 2

        @staticmethod
        def backward(ctx, gradient):  # noqa: ARG004
            return gradient

    class Inner(nn.Module):
        def __init__(self):
            super().__init__()
            self.part = nn.Linear(4, 4)

        def forward(self, inputs):
            return Wrong.apply(self.part(inputs))

    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = Inner()

        def forward(self, inputs):
            return inputs + self.inner(inputs)

    finding = found(subject(net(0, Outer(), nn.Linear(4, 3))))
    assert (finding.verdict, finding.where) == (Verdict.FAIL, "0.inner")


def test_kinks_that_inputs_lie_on_are_no_failure(found, subject, net):
    class Rectified(nn.Module):
        def forward(self, inputs):
            return inputs.clamp(min=0)

    model = net(0, nn.Linear(4, 8), nn.ReLU(), Rectified(), nn.Linear(8, 3))
    assert found(subject(model)).verdict is Verdict.PASS


def test_a_large_layer_is_tested_by_a_projection(found, subject, net):
    class Square(nn.Module):
        def forward(self, inputs):
            return inputs**2

    class Wrong(nn.Module):
        def forward(self, inputs):
            return inputs * inputs.detach()

    for layer, verdict in ((Square(), Verdict.PASS), (Wrong(), Verdict.FAIL)):
        model = net(0, nn.Linear(4, 200), layer, nn.Linear(200, 3))
        assert found(subject(model)).verdict is verdict


def test_what_it_cannot_run_on_is_said(found, subject, net):
    class Casts(nn.Module):
        def forward(self, inputs):
            return torch.tanh(inputs.float()).to(inputs.dtype)

    finding = found(subject(net(0, nn.Linear(4, 8), Casts(), nn.Linear(8, 3))))
    assert finding.verdict is Verdict.UNKNOWN
    assert "gradcheck needs float64, and the network computes in float32" in finding.statement
