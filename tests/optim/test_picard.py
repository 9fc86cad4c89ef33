"""Picard against its formula, its limits, and the closed forms of the quadratic."""

import copy
import math

import pytest
import torch
from torch import nn

from wellposed.errors import ArgumentError
from wellposed.optim import SGD, AdamW, GroupScheduler, HamiltonJacobi, Linear, Picard

SGD_CASES = [
    {"momentum": 0.0, "nesterov": False},
    {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
    {"momentum": 0.5, "nesterov": False, "dampening": 0.5},
    {"momentum": 0.9, "nesterov": True, "maximize": True},
]


def weights(dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(s, generator=generator).to(dtype)) for s in ((3, 2), (4,))]


def slope(p):
    """A gradient of bounded curvature that is neither odd nor even."""
    return (2 * p.detach()).sin() + p.detach() - 1


def run(optimizer, params, steps):
    for _ in range(steps):
        for p in params:
            p.grad = slope(p)
        optimizer.step()


def equal(a, b):
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def textbook(params, lr, time, mean, inner_steps, cycles, normalize=None):
    """The formula on one flat vector, with plain gradient descent outside."""
    x = torch.cat([p.detach().flatten() for p in params])
    for _ in range(cycles):
        y, p = x.clone(), torch.zeros_like(x)
        for i in range(1, inner_steps + 1):
            a = {None: 1.0, "uniform": 1 / i}.get(mean, mean)
            p = (1 - a) * p + a * slope(y)
            step = {None: p, "norm": p / p.norm(), "adaptive": x**2 * p / (x * p).norm()}[normalize]
            y = x - time * step
        x = x - lr * p
    return x


@pytest.mark.parametrize("normalize", [None, "norm", "adaptive"])
@pytest.mark.parametrize("mean", [None, "uniform", 0.3])
@pytest.mark.parametrize("time", [0.2, -0.1])
def test_it_is_the_formula(normalize, mean, time):
    params = weights(torch.float64)
    expected = textbook(params, 0.05, time, mean, 4, 5, normalize)
    optimizer = Picard(
        params, lr=0.05, momentum=0, nesterov=False, inner_steps=4, pde_time=time, mean=mean,
        normalize=normalize,
    )  # fmt: skip
    run(optimizer, params, 20)
    assert optimizer.phase == (0, 5)
    found = torch.cat([p.detach().flatten() for p in params])
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("arguments", SGD_CASES)
@pytest.mark.parametrize("switched_off", [{"inner_steps": 1, "pde_time": 0.3}, {"inner_steps": 1}])
def test_one_gradient_per_cycle_is_sgd_bitwise(arguments, switched_off):
    theirs, ours = weights(), weights()
    run(SGD(theirs, lr=0.03, fused=True, **arguments), theirs, 20)
    run(Picard(ours, lr=0.03, **arguments, **switched_off), ours, 20)
    assert equal(theirs, ours)


@pytest.mark.parametrize("arguments", SGD_CASES)
def test_at_time_zero_it_is_sgd_on_every_second_gradient_bitwise(arguments):
    theirs, ours = weights(), weights()
    run(SGD(theirs, lr=0.03, fused=True, **arguments), theirs, 10)
    run(Picard(ours, lr=0.03, inner_steps=2, **arguments), ours, 20)
    assert equal(theirs, ours)


def test_around_adamw_at_time_zero_it_is_adamw_bitwise():
    theirs, ours = weights(), weights()
    run(AdamW(theirs, lr=0.03, amsgrad=True), theirs, 10)
    run(Picard(ours, lambda p, lr: AdamW(p, lr=lr, amsgrad=True), lr=0.03), ours, 20)
    assert equal(theirs, ours)


def test_the_first_cycle_of_a_base_that_fills_empty_states():
    params = weights()
    optimizer = Picard(params, AdamW, lr=0.1, pde_time=0.1, inner_steps=3)
    run(optimizer, params, 3)
    assert {"anchor", "exp_avg", "step"} <= optimizer.state[params[0]].keys()


def test_the_damped_fixed_point_visits_the_points_of_hamilton_jacobi_by_descent():
    t, b, eta = 0.4, 0.75, 0.6
    plain = {"momentum": 0, "nesterov": False, "inner_steps": 6}
    by_descent, by_fixed_point = weights(torch.float64), weights(torch.float64)
    descent = HamiltonJacobi(
        by_descent, lr=(1 - b) * t, gamma=1 / t, outer_lr=eta, integrator="explicit", **plain
    )
    fixed = Picard(by_fixed_point, lr=eta * t, pde_time=t, mean=1 - b, **plain)
    for _ in range(30):
        run(descent, by_descent, 1)
        run(fixed, by_fixed_point, 1)
        for p, q in zip(by_descent, by_fixed_point, strict=True):
            torch.testing.assert_close(p, q, rtol=1e-13, atol=1e-14)
    assert descent.phase == fixed.phase == (0, 5)


def test_on_a_quadratic_the_fixed_point_is_the_gradient_of_the_moreau_envelope():
    lam, t, c, lr = 3.0, 0.5, -0.7, 0.1
    x = nn.Parameter(torch.tensor([2.0], dtype=torch.float64))
    optimizer = Picard([x], lr=lr, momentum=0, nesterov=False, inner_steps=60, pde_time=t, mean=0.5)
    for _ in range(60):
        x.grad = lam * (x.detach() - c)
        optimizer.step()
    envelope_slope = lam / (1 + t * lam) * (2.0 - c)
    assert x.item() == pytest.approx(2.0 - lr * envelope_slope, abs=1e-12)


@pytest.mark.parametrize(("weight", "stable"), [(0.79, True), (0.81, False)])
def test_the_stability_limit_of_the_damping(weight, stable):
    lam, t = 3.0, 0.5  # contraction 1 - a (1 + t lam): the limit is a = 2 / 2.5 = 0.8
    x = nn.Parameter(torch.ones(1, dtype=torch.float64))
    optimizer = Picard(
        [x], lr=0.1, momentum=0, nesterov=False, inner_steps=2001, pde_time=t, mean=weight
    )
    for _ in range(2000):
        x.grad = lam * x.detach()
        optimizer.step()
    distance = abs(x.item() - 1 / (1 + t * lam))  # to the proximal point
    assert (distance < 1e-6) is stable


def test_evaluation_is_at_the_anchor_and_leaves_no_trace():
    params, twins = weights(), weights()
    optimizer = Picard(params, lr=0.1, pde_time=0.3, inner_steps=3)
    other = Picard(twins, lr=0.1, pde_time=0.3, inner_steps=3)
    start = [p.detach().clone() for p in params]
    for step in range(7):
        run(optimizer, params, 1)
        run(other, twins, 1)
        with optimizer.at_anchor():
            if step < 2:
                assert equal(params, start)
            optimizer.eval()
        assert equal(params, twins)


def test_finishing_returns_to_the_anchor():
    params = weights()
    optimizer = Picard(params, lr=0.1, pde_time=0.3, inner_steps=3)
    start = [p.detach().clone() for p in params]
    run(optimizer, params, 2)
    assert not equal(params, start)
    optimizer.finish_cycle()
    assert equal(params, start)
    assert optimizer.phase == (0, 0)
    run(optimizer, params, 2)
    optimizer.eval()
    optimizer.finish_cycle()
    assert equal(params, start)
    with pytest.raises(ArgumentError, match="call train"):
        optimizer.step()
    optimizer.train()
    run(optimizer, params, 3)
    assert optimizer.phase == (0, 1)


def test_weights_moved_between_cycles_are_respected():
    params = weights()
    optimizer = Picard(params, lr=0.0, pde_time=0.3, inner_steps=2)
    run(optimizer, params, 2)
    with torch.no_grad():
        params[0].zero_()
    run(optimizer, params, 2)
    assert not params[0].any()


@pytest.mark.parametrize(
    "arguments",
    [
        {"pde_time": 0.3},
        {"pde_time": -0.3, "normalize": "norm"},
        {"pde_time": -0.3, "normalize": "adaptive"},
        {"spread": 0.3, "mean": "uniform"},
        {"pde_time": None, "mean": 0.5},
    ],
)
def test_with_lr_0_no_step_changes_a_bit(arguments):
    """Distributed checkpoints take such a step to make the state, with gradients of zero."""
    params = weights()
    start = [p.detach().clone() for p in params]
    optimizer = Picard(params, lr=0.0, **arguments)
    for _ in range(5):
        for p in params:
            p.grad = torch.zeros_like(p)
        optimizer.step()
        assert equal(params, start)
        run(optimizer, params, 1)
        assert equal(params, start)


def test_a_whole_cycle_on_one_batch():
    one, other = weights(), weights()
    per_step = Picard(one, lr=0.1, pde_time=0.3, inner_steps=3)
    whole = Picard(other, lr=0.1, pde_time=0.3, inner_steps=3, same_batch=True)
    calls = []

    def closure():
        for p in other:
            p.grad = slope(p)
        calls.append(len(calls))
        return calls[-1]

    for cycle in range(4):
        run(per_step, one, 3)
        assert whole.step(closure) == 3 * cycle  # the loss at the anchor
    assert len(calls) == 12
    assert equal(one, other)
    with pytest.raises(ArgumentError, match=r"same_batch=True was given and step.. got no closure"):
        whole.step()


def test_a_parameter_that_comes_and_goes():
    steady, fickle = weights()
    optimizer = Picard([steady, fickle], lr=0.1, pde_time=0.3, inner_steps=2, mean="uniform")
    start = fickle.detach().clone()
    steady.grad, fickle.grad = slope(steady), None
    optimizer.step()
    fickle.grad = slope(fickle)
    steady.grad = None
    kept = steady.detach().clone()
    optimizer.step()
    assert not torch.equal(fickle, start)
    assert not torch.equal(steady, kept)  # back at its anchor: without a gradient now, no step
    optimizer.eval()
    assert optimizer.phase == (0, 1)


def test_the_time_can_be_scheduled_and_follows_lr():
    p = nn.Parameter(torch.tensor([1.0]))
    optimizer = Picard([p], lr=0.5, pde_time=0.4, inner_steps=2, momentum=0, nesterov=False)
    scheduler = GroupScheduler(optimizer, Linear(), 4, key="pde_time")
    p.grad = torch.ones(1)
    optimizer.step()
    assert p.item() == pytest.approx(0.6)
    optimizer.step()
    scheduler.step()
    scheduler.step()
    x = p.item()
    optimizer.step()
    assert p.item() == pytest.approx(x - 0.2)
    follower = Picard([p], lr=0.5, pde_time=None, inner_steps=2)
    assert follower.diagnostics()["pde_time"] == 0.5


@pytest.mark.parametrize("spreads", [(0.3, 0.0), (0.0, 0.3), (0.3, 0.1)])
def test_groups_may_be_perturbed_differently(spreads):
    params = weights(torch.float64)
    expected = [p.detach().clone() for p in params]
    groups = [{"params": [p], "spread": s} for p, s in zip(params, spreads, strict=True)]
    optimizer = Picard(groups, lr=0.1, momentum=0, nesterov=False, mean="uniform", inner_steps=2)
    for cycle in range(5):
        for _ in range(2 if cycle > 0 else 1):  # before the first nobody could perturb
            for p in params:
                p.grad = 3 * p.detach() - 1
            optimizer.step()
        expected = [x - 0.1 * (3 * x - 1) for x in expected]  # pairs are exact on a quadratic
        with optimizer.at_anchor():
            for p, x in zip(params, expected, strict=True):
                torch.testing.assert_close(p.detach(), x, rtol=1e-13, atol=1e-13)
    assert optimizer.phase == (0, 5)


def test_finishing_returns_every_group_to_its_anchor():
    params = weights()
    groups = [{"params": params[:1]}, {"params": params[1:], "spread": 0.3}]
    optimizer = Picard(groups, lr=0.1, mean="uniform", inner_steps=2)
    run(optimizer, params, 1)
    with optimizer.at_anchor():
        anchors = [p.detach().clone() for p in params]
    assert not equal(params, anchors)
    optimizer.finish_cycle()
    assert equal(params, anchors)


@pytest.mark.parametrize("mean", ["uniform", 0.5])
def test_a_gradient_that_comes_late_in_a_cycle_is_not_mixed_with_the_last_cycle(mean):
    steady, fickle = weights(torch.float64)
    optimizer = Picard(
        [steady, fickle], lr=0.1, momentum=0, nesterov=False, mean=mean, inner_steps=2
    )
    run(optimizer, [steady, fickle], 2)
    x = fickle.detach().clone()
    for p, grad in ((steady, torch.ones_like(steady)), (fickle, None)):
        p.grad = grad
    optimizer.step()
    fickle.grad = torch.full_like(fickle, 2.0)
    optimizer.step()  # p = 0 and then 1: the missing one counts as zero
    torch.testing.assert_close(fickle.detach(), x - 0.1, rtol=1e-14, atol=1e-14)


def test_a_group_at_rest_does_not_hold_up_the_others():
    params = weights()
    groups = [{"params": params[:1], "lr": 0.0, "spread": 0.3}, {"params": params[1:]}]
    optimizer = Picard(groups, lr=0.1, mean="uniform", inner_steps=2)
    run(optimizer, params, 4)
    assert optimizer.phase == (0, 2)
    assert torch.equal(params[0], weights()[0])


def test_a_time_scheduled_to_0_brings_the_probe_back():
    params = weights()
    optimizer = Picard(params, lr=0.1, pde_time=0.3, inner_steps=4)
    run(optimizer, params, 1)
    assert not equal(params, weights())
    optimizer.param_groups[0]["pde_time"] = 0.0
    run(optimizer, params, 1)
    assert equal(params, weights())


def test_ascent_displaces_to_the_other_side():
    up, down = nn.Parameter(torch.tensor([1.0])), nn.Parameter(torch.tensor([1.0]))
    one = Picard([up], lr=0.1, pde_time=0.3, maximize=True)
    two = Picard([down], lr=0.1, pde_time=0.3)
    for _ in range(6):
        up.grad, down.grad = up.detach() ** 2, -(down.detach() ** 2)
        one.step()
        two.step()
        assert torch.equal(up, down)


def test_a_gradient_that_is_not_finite_displaces_nothing():
    p = nn.Parameter(torch.tensor([1.0, 2.0]))
    optimizer = Picard([p], lr=0.1, pde_time=-0.3, normalize="norm")
    p.grad = torch.tensor([math.inf, 1.0])
    optimizer.step()
    assert p.tolist() == [1.0, 2.0]


def test_diagnostics_say_how_far_the_probe_is():
    p = nn.Parameter(torch.tensor([3.0, 4.0]))
    optimizer = Picard([p], lr=0.1, pde_time=0.5, inner_steps=3)
    p.grad = torch.tensor([0.6, 0.8])
    optimizer.step()
    found = optimizer.diagnostics()
    assert found["anchor_distance"] == pytest.approx(0.5)
    assert found["noise_ratio"] == 0.0
    assert (found["inner_index"], found["outer_index"]) == (1, 0)
    noisy = Picard([p], lr=0.1, spread=0.5, mean="uniform")
    noisy.step()
    assert noisy.diagnostics()["noise_ratio"] == pytest.approx(0.5 * 2**0.5 / 0.1)
    p.grad = None
    assert math.isnan(noisy.diagnostics()["noise_ratio"])


def test_a_state_of_sgd_is_loaded():
    params = weights()
    donor = SGD(params, lr=0.3, momentum=0.9)
    run(donor, params, 2)
    optimizer = Picard(params, lr=0.1, pde_time=0.2)
    optimizer.load_state_dict(copy.deepcopy(donor.state_dict()))
    assert optimizer.param_groups[0]["lr"] == 0.3
    run(optimizer, params, 4)
    assert optimizer.phase == (0, 2)


def test_a_base_that_fails_leaves_gradients_and_state():
    class Failing(SGD):
        def step(self, closure=None):  # noqa: ARG002
            raise RuntimeError("no memory")

    params = weights()
    optimizer = Picard(params, Failing, lr=0.1, pde_time=0.3, mean=0.5)
    run(optimizer, params, 1)
    for p in params:
        p.grad = slope(p)
    kept = [p.grad for p in params]
    with pytest.raises(RuntimeError, match="no memory"):
        optimizer.step()
    assert all(p.grad is g for p, g in zip(params, kept, strict=True))
    assert "anchor" in optimizer.state[params[0]]
    optimizer.eval()
    assert equal(params, weights())
