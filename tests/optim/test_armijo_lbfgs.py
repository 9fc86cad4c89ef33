"""ArmijoLBFGS against scipy, torch's own, and its promise."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize, rosen, rosen_der
from torch import nn

from wellposed.errors import ArgumentError
from wellposed.optim import LBFGS, ArmijoLBFGS


def vector(values):
    return nn.Parameter(torch.as_tensor(values, dtype=torch.float64).clone())


def rosenbrock(w):
    return (100 * (w[1:] - w[:-1].square()).square() + (1 - w[:-1]).square()).sum()


def closure_for(w, function, values=None):
    def closure():
        loss = function(w)
        loss.backward()
        if values is not None:
            values.append((w.detach().clone(), loss.item(), w.grad.clone()))
        return loss

    return closure


@pytest.mark.parametrize("n", [2, 10])
def test_rosenbrock_with_about_scipys_number_of_gradients(n):
    start = np.tile([-1.2, 1.0], n // 2)
    w = vector(start)
    optimizer = ArmijoLBFGS([w], iterations=500)
    optimizer.step(closure_for(w, rosenbrock))
    theirs = minimize(
        rosen, start, jac=rosen_der, method="L-BFGS-B", options={"ftol": 0, "gtol": 1e-9}
    )
    np.testing.assert_allclose(w.detach(), theirs.x, atol=1e-6)
    assert optimizer.effort.gradients <= 2 * theirs.nfev


def test_a_strictly_convex_quadratic_in_few_iterations():
    generator = torch.Generator().manual_seed(0)
    root = torch.randn(20, 20, dtype=torch.float64, generator=generator)
    a = root @ root.T / 20 + torch.eye(20, dtype=torch.float64)
    b = torch.randn(20, dtype=torch.float64, generator=generator)
    w = vector(torch.zeros(20))
    optimizer = ArmijoLBFGS([w], iterations=200)
    optimizer.step(closure_for(w, lambda w: w @ a @ w / 2 - b @ w))
    theirs = minimize(
        lambda z: z @ a.numpy() @ z / 2 - b.numpy() @ z, np.zeros(20),
        jac=lambda z: a.numpy() @ z - b.numpy(), method="L-BFGS-B", options={"gtol": 1e-8},
    )  # fmt: skip
    torch.testing.assert_close(w.detach(), torch.linalg.solve(a, b), rtol=0, atol=1e-7)
    assert optimizer.effort.gradients <= 2 * theirs.nfev


@pytest.mark.simulation
@given(st.lists(st.floats(-2, 2), min_size=2, max_size=6), st.integers(1, 4))
def test_armijo_holds_at_every_accepted_step(start, history):
    w = vector(start)
    optimizer = ArmijoLBFGS([w], iterations=1, history=history)
    for _ in range(25):
        before, values = w.detach().clone(), []
        optimizer.step(closure_for(w, rosenbrock, values))
        moved = w.detach() - before
        _, loss, gradient = values[0]
        if optimizer.outcome != "accepted":
            assert torch.equal(w.detach(), before)
            break
        slope = float(gradient @ moved)
        assert slope < 0
        assert rosenbrock(w).item() <= loss + 1e-4 * slope * (1 - 1e-6)


def test_the_loss_never_rises_where_torchs_does():
    losses = {}
    for name, make in {
        "ours": lambda w: ArmijoLBFGS([w], iterations=1),
        "torch": lambda w: LBFGS([w], max_iter=1),
    }.items():
        w = vector([-1.2, 1.0])
        optimizer = make(w)
        found = []
        for _ in range(30):
            found.append(rosenbrock(w).item())
            optimizer.zero_grad()
            optimizer.step(closure_for(w, rosenbrock))
        losses[name] = found
    assert all(a >= b for a, b in zip(losses["ours"], losses["ours"][1:], strict=False))
    assert any(a < b for a, b in zip(losses["torch"], losses["torch"][1:], strict=False))


def test_many_iterations_are_as_many_steps_of_one():
    one, other = vector([-1.2, 1.0, 0.5]), vector([-1.2, 1.0, 0.5])
    at_once = ArmijoLBFGS([one], iterations=12)
    at_once.step(closure_for(one, rosenbrock))
    each = ArmijoLBFGS([other], iterations=1)
    for _ in range(12):
        each.step(closure_for(other, rosenbrock))
    assert torch.equal(one, other)
    assert each.effort.gradients - at_once.effort.gradients == 11  # the first of each step


def test_effort_counts_the_calls():
    w, values = vector([-1.2, 1.0]), []
    optimizer = ArmijoLBFGS([w], iterations=7)
    optimizer.step(closure_for(w, rosenbrock, values))
    assert optimizer.effort.gradients == len(values)
    assert optimizer.effort.gradient_equivalents == len(values)


def test_a_pair_of_negative_curvature_is_left_out():
    w = vector([0.1])  # between the wells of a double well, gradient and step have one sign
    optimizer = ArmijoLBFGS([w], iterations=1)
    optimizer.step(closure_for(w, lambda w: (w.square() - 1).square().sum() / 4))
    assert optimizer.outcome == "accepted"
    assert optimizer.param_groups[0]["pairs"] == 0
    optimizer.param_groups[0]["iterations"] = 50
    optimizer.step(closure_for(w, lambda w: (w.square() - 1).square().sum() / 4))
    assert w.item() == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize(("step", "change"), [(1.0, -1.0), (1e30, 1.0)], ids=["uphill", "far"])
def test_pairs_that_lead_nowhere_are_forgotten_and_the_gradient_is_tried(step, change):
    w = vector([3.0])
    optimizer = ArmijoLBFGS([w], iterations=1)
    optimizer.step(closure_for(w, lambda w: w.pow(4).sum()))
    slots, before = optimizer.state[w], w.item()
    slots["steps"][0], slots["changes"][0] = step, change
    optimizer.step(closure_for(w, lambda w: w.pow(4).sum()))
    assert optimizer.outcome == "accepted"
    assert 0 < w.item() < before
    assert optimizer.param_groups[0]["pairs"] == 1  # the new one


def test_a_kink_keeps_the_weights_and_says_so():
    w = vector([0.0])
    optimizer = ArmijoLBFGS([w])
    with pytest.warns(RuntimeWarning, match=r"ArmijoLBFGS found no decrease.*as they were.*kink"):
        optimizer.step(closure_for(w, lambda w: 3.0 + torch.maximum(w, -w / 2).sum()))
    assert w.item() == 0.0
    assert optimizer.outcome == "no decrease"


def test_a_gradient_that_is_not_finite_is_stepped_back_from():
    w = vector([1.0])
    optimizer = ArmijoLBFGS([w], iterations=1)
    optimizer.step(closure_for(w, lambda w: w.sum() + 0 * (w - 0.5).abs().sqrt().sum()))
    assert w.item() == 0.0  # beyond the place where the gradient is nan
    v = vector([1.0])
    optimizer = ArmijoLBFGS([v], iterations=1)
    optimizer.step(closure_for(v, lambda w: w.sum() + 0 * w.abs().sqrt().sum()))
    assert v.item() == 0.5


def test_a_forgotten_zero_grad_does_no_harm():
    one, other = vector([-1.2, 1.0]), vector([-1.2, 1.0])
    forgetful, careful = ArmijoLBFGS([one]), ArmijoLBFGS([other])

    def closure():
        careful.zero_grad()
        return closure_for(other, rosenbrock)()

    for _ in range(2):
        forgetful.step(closure_for(one, rosenbrock))
        careful.step(closure)
    assert torch.equal(one, other)


def test_a_closure_without_backward_is_told_so():
    w = vector([1.0])
    with pytest.raises(ArgumentError, match=r"left no gradient.*calls backward\(\)"):
        ArmijoLBFGS([w]).step(lambda: w.square().sum())


@pytest.mark.parametrize("memory", [1, 3])
def test_memory_is_as_stated(memory):
    w = vector([-1.2, 1.0, 0.5])
    optimizer = ArmijoLBFGS([w], history=memory)
    optimizer.step(closure_for(w, rosenbrock))
    assert sum(t.numel() for t in optimizer.state[w].values()) == 2 * memory * 3


def test_other_weights_begin_a_new_history():
    w, idle = vector([-1.2, 1.0]), vector([3.0])
    idle.requires_grad_(requires_grad=False)
    optimizer = ArmijoLBFGS([w, idle], iterations=3)
    optimizer.step(closure_for(w, rosenbrock))
    assert optimizer.param_groups[0]["pairs"] > 0
    idle.requires_grad_(requires_grad=True)

    def closure():
        loss = rosenbrock(w) + idle.square().sum()
        loss.backward()
        return loss

    optimizer.param_groups[0]["iterations"] = 60
    optimizer.step(closure)
    torch.testing.assert_close(w.detach(), torch.ones(2).double(), rtol=0, atol=1e-4)
    assert abs(idle.item()) < 1e-4


WRONG = [
    ({"lr": -1.0}, "lr=-1"),
    ({"iterations": 0}, "iterations=0"),
    ({"history": 0}, "history=0"),
    ({"max_trials": 0}, "max_trials=0"),
]


@pytest.mark.parametrize(("arguments", "sentence"), WRONG, ids=[s for _, s in WRONG])
def test_a_wrong_argument_is_refused(arguments, sentence):
    with pytest.raises(ArgumentError, match=sentence):
        ArmijoLBFGS([vector([1.0])], **arguments)
