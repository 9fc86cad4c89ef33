import pytest
import torch
from torch import nn
from torch.nn import functional

from wellposed.errors import ArgumentError
from wellposed.perturb import L1, L2, Linf
from wellposed.regularizers import Adversary
from wellposed.regularizers._adversary import ball_of, require_search

BALLS = {"linf": Linf(0.1), "l2": L2(0.6), "l1": L1(1.5)}


@pytest.fixture
def inputs():
    return torch.rand(10, 1, 4, 4, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 12), nn.BatchNorm1d(12), nn.Linear(12, 3))


def measure(outputs):
    targets = torch.arange(len(outputs)) % 3
    return functional.cross_entropy(outputs, targets, reduction="none")


@pytest.mark.parametrize("ball", BALLS.values(), ids=BALLS)
@pytest.mark.parametrize("start", ["uniform", "near", "zero"])
@pytest.mark.parametrize("mode", ["eval", "train"])
def test_it_stays_in_ball_and_bounds_and_finds_larger_values(model, inputs, ball, start, mode):
    adversary = Adversary(ball, steps=6, step=ball.eps / 3, start=start, mode=mode)
    model.eval()
    found = adversary.worst(model, inputs, measure)
    assert not found.requires_grad
    assert found.min() >= 0
    assert found.max() <= 1
    assert ball.distance(found, inputs).max() <= ball.eps * (1 + 1e-6)
    assert measure(model(found)).mean() > measure(model(inputs)).mean() + 1e-3


@pytest.mark.parametrize("ball", BALLS.values(), ids=BALLS)
def test_a_wide_start_leaves_the_ball_but_not_the_bounds(model, inputs, ball):
    found = Adversary(ball, steps=1, step=ball.eps, start="wide").worst(model, inputs, measure)
    assert ball.distance(found, inputs).max() > ball.eps
    assert ball.distance(found, inputs).max() <= 3 * ball.eps * (1 + 1e-6)
    assert found.min() >= 0
    assert found.max() <= 1


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_the_network_is_left_as_it_was(model, inputs, mode):
    before = {n: b.clone() for n, b in model.named_buffers()}
    Adversary(Linf(0.1), steps=2, step=0.1, mode=mode).worst(model, inputs, measure)
    assert all(torch.equal(b, before[n]) for n, b in model.named_buffers())
    assert all(p.grad is None for p in model.parameters())
    assert all(m.training for m in model.modules())


def test_on_a_linear_function_one_step_finds_the_maximum_of_the_box(inputs):
    # max over |d| <= eps, 0 <= x + d <= 1 of <w, x + d>, coordinate by coordinate.
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 1, bias=False))
    w = model[1].weight.detach().view(1, 1, 4, 4)
    adversary = Adversary(Linf(0.3), step=0.3, start="zero")
    found = adversary.worst(model, inputs, lambda outputs: outputs[:, 0])
    wanted = torch.where(w > 0, (inputs + 0.3).clamp_max(1), (inputs - 0.3).clamp_min(0))
    torch.testing.assert_close(found, wanted)


def test_derivatives_by_the_inputs_pass_as_if_the_move_were_fixed(model, inputs):
    x = inputs.clone().requires_grad_()
    found = Adversary(Linf(0.1), step=0.1, start="zero").worst(model.eval(), x, measure)
    (gradient,) = torch.autograd.grad(found.sum(), x)
    assert torch.equal(gradient, torch.ones_like(x))


def test_inputs_outside_the_bounds_are_refused(model, inputs):
    with pytest.raises(ArgumentError, match=r"from -2 to .*standardize = false"):
        Adversary(Linf(0.1), step=0.1).worst(model, inputs.clone().fill_(-2.0), measure)
    wide = Adversary(Linf(0.1), (-3.0, 3.0), step=0.1)
    assert wide.worst(model, inputs - 2, measure).min() < -2


@pytest.mark.wrong_types
def test_arguments_outside_their_range_are_refused():
    with pytest.raises(ArgumentError, match="norms linf, l2 and l1, got norm='l0'"):
        ball_of("l0", 0.1, "Trades")
    with pytest.raises(ArgumentError, match="radius eps > 0"):
        ball_of("l2", 0.0, "Trades")
    with pytest.raises(ArgumentError, match="steps >= 1"):
        require_search("Trades", 0, None, (0.0, 1.0))
    with pytest.raises(ArgumentError, match="step > 0"):
        require_search("Trades", 1, -0.1, (0.0, 1.0))
    with pytest.raises(ArgumentError, match=r"bounds \(least, greatest\)"):
        require_search("Trades", 1, None, (1.0, 1.0))
