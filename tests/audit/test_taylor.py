import pytest
import torch
from torch import nn

from wellposed.audit import examine
from wellposed.losses import SquaredError
from wellposed.regularizers import L2
from wellposed.runs import Verdict


@pytest.fixture
def found():
    return lambda subject, budget="standard": examine(subject, ["taylor"], budget)["taylor"]


def test_a_smooth_network_shows_order_2_over_many_steps(found, subject):
    finding = found(subject(regularizer=L2(0.1)))
    assert finding.verdict is Verdict.PASS
    assert finding.interval[1] < 1e-8
    assert "the remainder is of order 2 for steps from" in finding.statement
    assert finding.evidence["second_derivative"] == "tested"
    assert [what for what, *_ in finding.evidence["errors"]][-1] == "the Hessian product"


def test_a_quadratic_objective_in_closed_form(found, subject, net, blobs):
    # 1/2 |W x - y|^2 / n in W: the remainder is h^2 <d, H d> / 2 exactly, at every step.
    x, _ = blobs(20)
    data = (x, torch.randn(20, 3))
    finding = found(subject(net(0, nn.Linear(4, 3)), data=data, loss=SquaredError()))
    assert finding.verdict is Verdict.PASS
    line = finding.figures[0].series[0]
    ratio = [e / h**2 for h, e in zip(line.x[:8], line.y[:8], strict=True)]
    assert max(ratio) == pytest.approx(min(ratio), rel=1e-6)


def test_healthy_networks_pass(found, healthy):
    for seed in range(2):
        finding = found(healthy(seed), "quick")
        assert finding.verdict is Verdict.PASS, finding.statement


def test_a_healthy_network_passes_in_full(found, healthy):
    finding = found(healthy(9))
    assert finding.verdict is Verdict.PASS
    assert finding.evidence["second_derivative"] == "tested"


@pytest.mark.parametrize("factor", [1.001, 0.5, 0.0, -1.0])
def test_a_backward_off_by_a_factor_is_found(found, faulty, factor):
    finding = found(faulty("tanh", factor))
    assert finding.verdict is Verdict.FAIL
    assert finding.where == "0.weight, 0.bias" or finding.where == "0.bias, 0.weight"
    assert finding.interval[0] > 1e-4
    assert "of order 1.0" in finding.statement
    assert "0." in finding.remedy


def test_the_twin_of_the_wrong_backward_passes(found, faulty):
    assert found(faulty("tanh", 1.0)).verdict is Verdict.PASS


def test_a_bias_without_gradient_is_named(found, faulty):
    finding = found(faulty("bias", 6, 6))
    assert (finding.verdict, finding.where) == (Verdict.FAIL, "1.bias")


def test_a_detach_is_found(found, faulty):
    finding = found(faulty("detached"))
    assert finding.verdict is Verdict.FAIL
    assert set(finding.where.split(", ")) == {"0.weight", "0.bias"}


def test_only_the_inputs_may_be_wrong(found, subject, net):
    class Detached(nn.Module):
        def forward(self, inputs):
            return inputs.detach()

    finding = found(subject(net(0, Detached(), nn.Linear(4, 3))))
    assert finding.verdict is Verdict.FAIL
    assert finding.statement.startswith("The gradient in the inputs is wrong by 100 %")


def test_a_kink_in_the_weights_given_is_no_failure(found, subject, net):
    model = net(0, nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    with torch.no_grad():
        model[0].bias.zero_()
    black = (torch.zeros(12, 4), torch.arange(12) % 3)
    finding = found(subject(model, data=black))
    assert finding.verdict is Verdict.PASS
    assert finding.evidence["beside_the_weights"]
    assert "lie on a kink" in finding.statement


def saturated(subject, net, layer, labels):
    """Logits so far apart that the loss rounds to 0, whereas its gradient by autograd does not."""
    model = net(0, nn.Linear(3, 3, bias=False), layer)
    with torch.no_grad():
        model[0].weight.copy_(30 * torch.eye(3))
    return subject(model, data=(nn.functional.one_hot(labels, 3).float(), labels))


class Scaled(nn.Module):
    def forward(self, inputs):
        return 2 * inputs


class WronglyScaled(nn.Module):
    """Twice its inputs, with a gradient that is 2 % too large."""

    def forward(self, inputs):
        return 2.04 * inputs - 0.04 * inputs.detach()


def test_a_loss_that_rounds_to_0_is_no_failure(found, subject, net):
    # autograd says exp(-60), and log(1 + exp(-60)) is 0 wherever one looks
    made = saturated(subject, net, Scaled(), torch.arange(12) % 3)
    assert made.objective(*made.take("test")).item() == 0
    finding = found(made)
    assert finding.verdict is Verdict.PASS
    assert finding.evidence["one_target"]
    assert "with one target for all examples, since rounding hides" in finding.statement


def test_a_wrong_gradient_is_found_where_the_loss_rounds_to_0(found, subject, net):
    finding = found(saturated(subject, net, WronglyScaled(), torch.arange(12) % 3))
    assert (finding.verdict, finding.where) == (Verdict.FAIL, "0.weight")
    assert finding.value == pytest.approx(0.02, rel=0.1)
    assert "of order 1.00 in the end" in finding.statement


def test_what_no_targets_resolve_is_unknown(found, subject, net):
    finding = found(saturated(subject, net, WronglyScaled(), torch.zeros(12, dtype=torch.long)))
    assert finding.verdict is Verdict.UNKNOWN
    assert "nothing is shown in float64" in finding.statement


@pytest.mark.parametrize("once", [False, True])
def test_a_wrong_second_derivative_is_a_warning(found, subject, net, once):
    def right_and_a_constant_to_autograd(ctx, gradient):
        (inputs,) = ctx.saved_tensors
        return gradient * 3 * inputs.detach() ** 2

    def once_differentiable(ctx, gradient):  # by autograd.grad, torch passes it in silence
        return gradient * 3 * ctx.saved_tensors[0] ** 2

    marked = torch.autograd.function.once_differentiable(once_differentiable)

    class Cubed(torch.autograd.Function):
        @staticmethod
        def forward(ctx, inputs):
            ctx.save_for_backward(inputs)
            return inputs**3

        backward = staticmethod(marked if once else right_and_a_constant_to_autograd)

    class Cube(nn.Module):
        def forward(self, inputs):
            return Cubed.apply(inputs)

    finding = found(subject(net(0, nn.Linear(4, 5), Cube(), nn.Linear(5, 3))))
    assert finding.verdict is Verdict.WARN
    assert finding.statement.startswith("The Hessian product is wrong")
    assert "curvature" in finding.remedy


def test_no_second_derivative_is_said_and_no_failure(found, subject, net):
    class Cosine(torch.autograd.Function):
        @staticmethod
        def forward(ctx, inputs):  # noqa: ARG004
            return inputs.cos()

    class Sine(torch.autograd.Function):
        @staticmethod
        def forward(ctx, inputs):
            ctx.save_for_backward(inputs)
            return inputs.sin()

        @staticmethod
        def backward(ctx, gradient):
            return gradient * Cosine.apply(ctx.saved_tensors[0])

    class Wave(nn.Module):
        def forward(self, inputs):
            return Sine.apply(inputs)

    finding = found(subject(net(0, nn.Linear(4, 5), Wave(), nn.Linear(5, 3))))
    assert finding.verdict is Verdict.PASS
    assert "NotImplementedError" in finding.evidence["second_derivative"]


@pytest.mark.parametrize(("dtype", "verdict"), [("float32", "pass"), ("bfloat16", "unknown")])
def test_a_network_that_insists_on_a_precision(found, subject, net, dtype, verdict):
    class Casts(nn.Module):
        def forward(self, inputs):
            return torch.tanh(inputs.to(getattr(torch, dtype))).to(inputs.dtype)

    finding = found(subject(net(0, nn.Linear(4, 8), Casts(), nn.Linear(8, 3))))
    assert finding.verdict.value == verdict
    assert finding.evidence["precision"] == dtype
    assert finding.threshold.value > 1e-4


def test_frozen_weights_are_left_out_and_inputs_suffice(found, subject, net):
    finding = found(subject(net().requires_grad_(False)))
    assert finding.verdict is Verdict.PASS
    assert {what for what, *_ in finding.evidence["errors"]} == {"the gradient in the inputs"}


def test_what_it_cannot_run_on_is_said(found, subject, net):
    class Noise(nn.Module):
        def forward(self, inputs):
            return inputs + torch.rand_like(inputs)

    noisy = found(subject(net(0, Noise(), nn.Linear(4, 3))))
    assert noisy.verdict is Verdict.UNKNOWN
    assert "the check of determinism says where" in noisy.statement
    tokens = (torch.randint(0, 5, (9, 4)), torch.arange(9) % 3)
    model = net(0, nn.Embedding(5, 2), nn.Flatten(), nn.Linear(8, 3)).requires_grad_(False)
    assert "there are neither" in found(subject(model, data=tokens)).statement
