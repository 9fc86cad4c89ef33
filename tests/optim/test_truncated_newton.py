"""What all inexact Newton methods share, on a quadratic whose curvature is made up."""

import math

import pytest
import torch
from torch import nn

from wellposed.optim._truncated_newton import Quadratic, TruncatedNewton


class Scaled(TruncatedNewton):
    """f(w) by a closure, with `scale` times the identity as the matrix."""

    form = "returns the loss"

    def __init__(self, params, scale=1.0, **numbers):
        chosen = {
            "lr": 1.0, "iterations": 1, "max_products": 10, "forcing": 0.5, "radius": None,
            "max_trials": 20,
        } | numbers  # fmt: skip
        super().__init__(params, **chosen, scale=scale)

    def _quadratic(self, closure, weights):
        loss = closure()
        (gradient,) = torch.autograd.grad(loss, weights)
        return Quadratic(loss, gradient, lambda v: self.param_groups[0]["scale"] * v)

    def _loss(self, answer):
        return float(answer.detach())


def weight(value=1.0):
    return nn.Parameter(torch.tensor([value], dtype=torch.float64))


def test_the_right_matrix_solves_in_one_step():
    w = weight()
    optimizer = Scaled([w], 4.0)
    optimizer.step(lambda: 2 * w.square().sum())
    assert w.item() == 0
    assert optimizer.outcome == "accepted"


def test_the_step_length_is_remembered():
    # E = 1.5 w^2 with a matrix of 1/2: d = -6 w, and the loss decreases for alpha < 1/3 only.
    w = weight()
    optimizer = Scaled([w], 0.5)
    optimizer.step(lambda: 1.5 * w.square().sum())
    assert w.item() == 1.0 - 6.0 / 4
    assert optimizer.effort.losses == 3  # 1, 1/2, 1/4
    optimizer.step(lambda: 1.5 * w.square().sum())
    assert w.item() == 0.25
    assert optimizer.effort.losses == 4  # 1/4 at once, so that 1/2 is next
    optimizer.step(lambda: 1.5 * w.square().sum())
    assert w.item() == -0.125
    assert optimizer.effort.losses == 6


def test_step_lengths_grow_back_up_to_lr():
    w = weight(1.0)
    optimizer = Scaled([w], 100.0, lr=1.0)
    optimizer.param_groups[0]["alpha"] = 0.25
    lengths = []
    for _ in range(4):
        before = w.item()
        optimizer.step(lambda: w.square().sum())
        lengths.append((before - w.item()) / (2 * before / 100))
    assert lengths == pytest.approx([0.25, 0.5, 1.0, 1.0])


def test_several_iterations_are_several_steps_and_the_first_loss_is_returned():
    one, other = weight(), weight()
    at_once = Scaled([one], 3.0, iterations=4)
    loss = at_once.step(lambda: one.pow(4).sum())
    each = Scaled([other], 3.0)
    for _ in range(4):
        each.step(lambda: other.pow(4).sum())
    assert loss.item() == 1.0
    assert torch.equal(one, other)
    assert at_once.effort == each.effort


def test_iterations_end_where_nothing_is_gained():
    w = weight()
    optimizer = Scaled([w], 2.0, iterations=50)
    optimizer.step(lambda: w.square().sum())
    assert optimizer.effort.gradients == 2
    assert optimizer.outcome == "stationary"


def test_lr_zero_moves_nothing_and_can_be_raised_later():
    w = weight()
    optimizer = Scaled([w], 2.0, lr=0.0)
    optimizer.step(lambda: w.square().sum())
    assert (w.item(), optimizer.outcome) == (1.0, "lr=0")
    optimizer.param_groups[0]["lr"] = 0.5
    optimizer.step(lambda: w.square().sum())
    assert w.item() == 0.5


def test_the_radius_limits_the_step():
    w = weight(10.0)
    Scaled([w], 2.0, radius=3.0).step(lambda: w.square().sum())
    assert w.item() == pytest.approx(7.0)


def test_a_kink_keeps_the_weights_and_says_so():
    # The subgradient of max(w, -w/2) that autograd gives at 0 is 1/4: no decrease along -1/4.
    w = weight(0.0)
    optimizer = Scaled([w], 1.0, max_trials=6)
    with pytest.warns(RuntimeWarning, match=r"no decrease.*left the weights as they were.*kink"):
        optimizer.step(lambda: 3.0 + torch.maximum(w, -w / 2).sum())
    assert w.item() == 0.0
    assert optimizer.outcome == "no decrease"
    assert optimizer.effort.losses == 7  # and once more, to see whether the closure is a function


def test_a_closure_that_is_no_function_is_named():
    w, values = weight(), iter([1.0, 2.0, 3.0, 4.0, 5.0])
    optimizer = Scaled([w], 1.0, max_trials=3)
    with pytest.warns(RuntimeWarning, match=r"gives 5 at the weights where it gave 1.*dropout"):
        optimizer.step(lambda: next(values) * w.sum() / w.detach().sum())
    assert w.item() == 1.0


def test_a_decrease_below_the_last_digit_is_not_searched_for():
    w = weight(1e-9)
    optimizer = Scaled([w], 2.0)
    optimizer.step(lambda: 1.0 + w.square().sum())
    assert (w.item(), optimizer.outcome, optimizer.effort.losses) == (1e-9, "rounding", 0)


def test_noise_of_rounding_is_no_reason_to_warn():
    # 3e-16 of decrease to be had, and a loss of 1 that answers one unit in the last place too high.
    w = weight(1.75e-8)
    optimizer = Scaled([w], 2.0)

    def loss():
        noise = 0.0 if w.item() == 1.75e-8 else 4.5e-16
        return 1.0 + w.square().sum() + noise

    optimizer.step(loss)
    assert (w.item(), optimizer.outcome) == (1.75e-8, "rounding")
    assert optimizer.effort.losses == 21


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_trial_losses_that_are_not_finite_are_stepped_back_from(bad):
    w = weight(2.0)
    optimizer = Scaled([w], 2.0)
    optimizer.step(lambda: w.square().sum() * (bad if w.item() < 0.7 else 1.0))
    assert w.item() == 1.0


def test_a_step_below_the_last_digit_of_the_weights_is_not_tried():
    w = weight(1.0)
    optimizer = Scaled([w], 1e15)
    optimizer.step(lambda: w.square().sum() - 1.0)
    assert (w.item(), optimizer.outcome, optimizer.effort.losses) == (1.0, "rounding", 0)
