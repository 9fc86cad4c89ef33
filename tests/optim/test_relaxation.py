"""The relaxation against torch's optimizers, a textbook version, and its own formulas."""

import copy
import pickle
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import solve_discrete_lyapunov
from torch import nn

from wellposed.errors import ArgumentError
from wellposed.optim import EntropySGD, Lookahead, NewtonCG, Relaxation

SHAPES = [(5, 3), (7,), (2, 3, 2, 2), ()]


def weights(dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [nn.Parameter(torch.randn(s, generator=generator).to(dtype)) for s in SHAPES]


def descend(make, steps=60, dtype=torch.float32, seed=1):
    """Weights after steps with gradients that depend on nothing but the step."""
    params = weights(dtype)
    optimizer = make(params)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        for p in params:
            p.grad = torch.randn(p.shape, generator=generator).to(dtype)
        optimizer.step()
    return params, optimizer


def same(ours, theirs):
    return all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


SGD_FLAGS = [
    {"momentum": 0.0, "nesterov": False},
    {"momentum": 0.9, "nesterov": True},
    {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
    {"momentum": 0.9, "nesterov": False, "dampening": 0.5},
    {"momentum": 0.5, "nesterov": False, "weight_decay": 0.1, "maximize": True},
]
KERNELS = [{"fused": True}, {"foreach": True}, {"foreach": False, "fused": False}]


@pytest.mark.parametrize("flags", SGD_FLAGS)
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("inner_steps", [1, 7])
def test_without_pull_and_mean_it_is_bitwise_sgd(flags, kernel, inner_steps):
    theirs, _ = descend(lambda p: torch.optim.SGD(p, lr=0.03, **flags, **kernel))
    ours, _ = descend(lambda p: Relaxation(p, lr=0.03, inner_steps=inner_steps, **flags, **kernel))
    assert same(ours, theirs)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_it_is_bitwise_sgd_in_other_precisions(dtype):
    flags = {"lr": 0.03, "momentum": 0.9, "nesterov": True, "fused": True}
    theirs, _ = descend(lambda p: torch.optim.SGD(p, **flags), dtype=dtype)
    ours, _ = descend(lambda p: Relaxation(p, inner_steps=7, **flags), dtype=dtype)
    assert same(ours, theirs)


def test_the_fused_kernel_is_the_default():
    ours, _ = descend(lambda p: Relaxation(p, lr=0.03))
    fused, _ = descend(lambda p: torch.optim.SGD(p, 0.03, 0.9, nesterov=True, fused=True))
    assert same(ours, fused)


@pytest.mark.parametrize("gamma", [0.0, 0.7, 50.0])
@pytest.mark.parametrize("flags", SGD_FLAGS)
def test_one_explicit_inner_step_is_bitwise_sgd_for_every_gamma(gamma, flags):
    # The pull acts at y = x, where it is zero.
    theirs, _ = descend(lambda p: torch.optim.SGD(p, lr=0.03, fused=True, **flags))
    ours, _ = descend(
        lambda p: Relaxation(p, lr=0.03, inner_steps=1, gamma=gamma, integrator="explicit", **flags)
    )
    assert same(ours, theirs)


def test_one_semi_implicit_inner_step_is_sgd_with_a_smaller_step():
    h, gamma = 0.03, 20.0
    theirs, _ = descend(lambda p: torch.optim.SGD(p, lr=h / (1 + h * gamma)), dtype=torch.float64)
    ours, _ = descend(
        lambda p: Relaxation(p, lr=h, momentum=0, inner_steps=1, gamma=gamma), dtype=torch.float64
    )
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    "base", [torch.optim.AdamW, torch.optim.RMSprop, torch.optim.Adagrad, torch.optim.Rprop]
)
def test_any_base_is_bitwise_itself_without_pull_and_mean(base):
    theirs, _ = descend(lambda p: base(p, lr=0.01))
    ours, _ = descend(lambda p: Relaxation(p, base, lr=0.01, inner_steps=7))
    assert same(ours, theirs)


def textbook(params, steps, *, h, m, wd, L, gamma, growth, a, eta, mo, seed=1):
    """Sections 0 and 1.2 as one would write them on paper, in float64, one tensor at a time."""
    generator = torch.Generator().manual_seed(seed)
    x = [p.detach().clone() for p in params]
    y, mu, v, b = [t.clone() for t in x], [t.clone() for t in x], [0] * len(x), [0] * len(x)
    for step in range(steps):
        cycle, inner = divmod(step, L)
        g = [torch.randn(p.shape, generator=generator).to(p.dtype) for p in params]
        for k in range(len(x)):
            d = g[k] + wd * y[k]
            b[k] = m * b[k] + d
            y[k] = y[k] - h * (d + m * b[k])
            pull = h / (1 - m) * gamma * (1 + growth) ** cycle
            y[k] = (y[k] + pull * x[k]) / (1 + pull)
            weight = 1 / (inner + 1) if a == "uniform" else a
            mu[k] = (1 - weight) * mu[k] + weight * y[k]
            if inner == L - 1:
                v[k] = mo * v[k] + (x[k] - mu[k])
                x[k] = x[k] - eta * (x[k] - mu[k] + mo * v[k])
                y[k], mu[k] = x[k].clone(), x[k].clone()
    return y


@pytest.mark.parametrize("fused", [None, False])
@pytest.mark.parametrize(("a", "eta", "mo"), [
    (0.25, 1.0, 0.0), (0.75, 0.5, 0.0), ("uniform", 0.3, 0.0), (0.25, 0.7, 0.6), (0.25, 1.3, 0.0),
])  # fmt: skip
def test_it_agrees_with_the_textbook_over_100_steps(a, eta, mo, fused):
    symbols = {"h": 0.05, "m": 0.9, "wd": 0.01, "L": 7, "gamma": 0.8, "growth": 0.05}
    expected = textbook(weights(torch.float64), 100, a=a, eta=eta, mo=mo, **symbols)
    found, _ = descend(
        lambda p: Relaxation(
            p, lr=0.05, momentum=0.9, weight_decay=0.01, inner_steps=7, gamma=0.8,
            gamma_growth=0.05, mean=a, outer_lr=eta, outer_momentum=mo, fused=fused,
        ), 100, torch.float64,
    )  # fmt: skip
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours.detach(), theirs, rtol=1e-11, atol=1e-12)


def test_adamw_inside_and_nesterov_outside_is_one_worker_diloco():
    params = weights(torch.float64)
    inner = torch.optim.AdamW(params, lr=0.01)
    anchors = [nn.Parameter(p.detach().clone()) for p in params]
    outer = torch.optim.SGD(anchors, lr=0.7, momentum=0.9, nesterov=True)
    generator = torch.Generator().manual_seed(1)
    for step in range(60):
        for p in params:
            p.grad = torch.randn(p.shape, generator=generator).double()
        inner.step()
        if step % 6 == 5:
            for x, p in zip(anchors, params, strict=True):
                x.grad = x.detach() - p.detach()
            outer.step()
            with torch.no_grad():
                for x, p in zip(anchors, params, strict=True):
                    p.copy_(x)
    ours, _ = descend(
        lambda p: Relaxation(
            p, torch.optim.AdamW, lr=0.01, inner_steps=6, outer_lr=0.7, outer_momentum=0.9
        ),
        dtype=torch.float64,
    )
    for a, b in zip(ours, params, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-13)


def test_uniform_mean_is_the_averaged_model():
    steps = 9
    model = nn.Linear(3, 2).double()
    average = torch.optim.swa_utils.AveragedModel(model)
    reference = torch.optim.SGD(model.parameters(), lr=0.1)
    twin = copy.deepcopy(model)
    ours = Relaxation(twin.parameters(), lr=0.1, momentum=0, mean="uniform", inner_steps=steps)
    generator = torch.Generator().manual_seed(3)
    for _ in range(steps):
        for p, q in zip(model.parameters(), twin.parameters(), strict=True):
            p.grad = torch.randn(p.shape, generator=generator).double()
            q.grad = p.grad.clone()
        reference.step()
        average.update_parameters(model)
        ours.step()
    for p, q in zip(average.module.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(q, p, rtol=0, atol=1e-15)


def quadratic(curvature, start, make, steps):
    """One mode, f = curvature y^2 / 2: the model's value after these steps."""
    y = nn.Parameter(torch.tensor([start], dtype=torch.float64))
    optimizer = make([y])
    for _ in range(steps):
        y.grad = curvature * y.detach()
        optimizer.step()
    return y.item()


@pytest.mark.parametrize("integrator", ["semi-implicit", "explicit"])
@pytest.mark.parametrize(("a", "eta"), [(0.25, 1.0), (0.75, 0.5), (1.0, 1.0)])
def test_the_outer_map_on_a_quadratic_is_the_closed_form(integrator, a, eta):
    lam, gamma, h, L, x = 1.7, 0.6, 0.2, 8, 1.3
    q = (1 - h * lam) / (1 + h * gamma) if integrator == "semi-implicit" else 1 - h * (lam + gamma)
    r = 1 - a
    bracket = r**L + a * q * (q**L - r**L) / (q - r)
    expected = x * (1 - eta * (1 - bracket) * lam / (lam + gamma))
    found = quadratic(
        lam, x,
        lambda p: Relaxation(
            p, lr=h, momentum=0, gamma=gamma, inner_steps=L, mean=a, outer_lr=eta,
            integrator=integrator,
        ), L,
    )  # fmt: skip
    assert found == pytest.approx(expected, abs=1e-14)


def explodes(lr, gamma, lam=1.0, **arguments):
    """Whether one long cycle leaves every bound."""
    make = partial(Relaxation, lr=lr, gamma=gamma, inner_steps=2001, **arguments)
    return not abs(quadratic(lam, 1.0, make, 2000)) < 1e3


@pytest.mark.simulation
@pytest.mark.parametrize("gamma", [0.0, 1.0, 30.0])
def test_explicit_pull_is_stable_up_to_its_limit(gamma):
    limit = 2 / (1 + gamma)
    plain = {"momentum": 0.0, "integrator": "explicit"}
    assert not explodes(0.99 * limit, gamma, **plain)
    assert explodes(1.01 * limit, gamma, **plain)


@pytest.mark.parametrize("gamma", [0.0, 1.0, 30.0])
def test_explicit_pull_with_nesterov_momentum_is_stable_up_to_its_limit(gamma):
    limit = 2 * (1 + 0.9) / (1 + 2 * 0.9) / (1 + gamma)
    nesterov = {"momentum": 0.9, "integrator": "explicit"}
    assert not explodes(0.99 * limit, gamma, **nesterov)
    assert explodes(1.02 * limit, gamma, **nesterov)


@pytest.mark.parametrize("gamma", [0.5, 1.0])
def test_semi_implicit_pull_is_stable_up_to_its_limit(gamma):
    # h lambda < 2 + h gamma
    curvature = 3.0
    limit = 2 / (curvature - gamma)
    assert not explodes(0.99 * limit, gamma, curvature, momentum=0.0)
    assert explodes(1.01 * limit, gamma, curvature, momentum=0.0)


@pytest.mark.simulation
@given(lr=st.floats(0.01, 1.9), gamma=st.floats(0, 1e12))
@settings(max_examples=40, deadline=None)
def test_semi_implicit_pull_is_stable_for_every_gamma(lr, gamma):
    found = quadratic(1.0, 1.0, partial(Relaxation, lr=lr, gamma=gamma, momentum=0.0), 100)
    assert abs(found) <= 1.0


def chain(h, gamma, temperature, m, n=20_000, steps=400, burn=100):
    """Variance of the inner points of n independent modes of curvature 1 around anchor 0."""
    y = nn.Parameter(torch.zeros(n, dtype=torch.float64))
    optimizer = Relaxation(
        [y], lr=h, gamma=gamma, temperature=temperature, momentum=m, nesterov=False,
        inner_steps=steps + 1,
    )  # fmt: skip
    squares, times = 0.0, 0
    for step in range(steps):
        y.grad = y.detach().clone()
        optimizer.step()
        if step >= burn and step % 10 == 0:
            squares, times = squares + y.detach().square().mean().item(), times + 1
    return squares / times


@pytest.mark.parametrize(("h", "gamma"), [(0.3, 0.0), (0.3, 2.0), (0.1, 10.0)])
def test_the_variance_of_the_inner_points_is_the_closed_form(h, gamma):
    # Noise s before the pull: Var y = s^2 / ((1 + h gamma)^2 (1 - q^2)).
    temperature = 0.4
    q = (1 - h) / (1 + h * gamma)
    expected = 2 * h * temperature / ((1 + h * gamma) ** 2 * (1 - q**2))
    # 30 correlated snapshots of 20,000 modes: relative error sqrt(2 / 20,000) = 1 % at worst.
    assert chain(h, gamma, temperature, 0.0) == pytest.approx(expected, rel=0.03)


def stationary(h, temperature, m):
    """Variance of y = y - h b + s xi, b = m b + y, by the discrete Lyapunov equation."""
    s2 = 2 * h * temperature / (1 - m)
    transition = [[1 - h, -h * m], [1.0, m]]
    return solve_discrete_lyapunov(transition, [[s2, 0.0], [0.0, 0.0]])[0, 0]


def test_the_temperature_is_the_one_asked_for_up_to_first_order_in_the_step():
    # The relative excess is h / (1 - m)^2 for small h: halving h halves it.
    for m in (0.0, 0.5, 0.9):
        excess = [stationary(h, 0.25, m) / 0.25 - 1 for h in (2e-4, 1e-4)]
        assert excess[0] / excess[1] == pytest.approx(2, rel=0.02)
        assert excess[1] < 1e-4 / (1 - m) ** 2


def test_the_variance_with_momentum_is_the_solution_of_the_lyapunov_equation():
    assert chain(0.02, 0.0, 0.25, 0.9) == pytest.approx(stationary(0.02, 0.25, 0.9), rel=0.03)


def test_scoping_grows_gamma_up_to_its_limit():
    _, optimizer = descend(
        lambda p: Relaxation(p, gamma=0.1, gamma_growth=0.5, gamma_max=0.3, inner_steps=10), 15
    )
    assert optimizer.diagnostics()["gamma"] == pytest.approx(0.15)
    _, optimizer = descend(
        lambda p: Relaxation(p, gamma=0.1, gamma_growth=0.5, gamma_max=0.3, inner_steps=10), 35
    )
    assert optimizer.diagnostics()["gamma"] == 0.3


def test_scoping_without_a_limit_cannot_overflow():
    ours, optimizer = descend(lambda p: Relaxation(p, gamma=1.0, gamma_growth=1e6, inner_steps=1))
    assert all(torch.isfinite(p).all() for p in ours)
    assert optimizer.diagnostics()["gamma"] > 1e200


def test_kappa_is_gamma_in_other_words():
    by_kappa = Relaxation(weights(), lr=0.1, momentum=0.9, inner_steps=20, kappa=3.0)
    assert by_kappa.param_groups[0]["gamma"] == pytest.approx(3.0 * 0.1 / (0.1 * 20))
    assert by_kappa.diagnostics()["kappa"] == pytest.approx(3.0)


def test_a_closure_is_called_once_with_gradients_enabled():
    p = nn.Parameter(torch.ones(3))
    calls = []

    def closure():
        calls.append(torch.is_grad_enabled())
        loss = p.square().sum()
        p.grad = None
        loss.backward()
        return loss

    loss = EntropySGD([p], inner_steps=2).step(closure)
    assert calls == [True]
    assert loss.item() == 3.0


def test_the_exchange_is_exact_and_idempotent():
    params, optimizer = descend(lambda p: EntropySGD(p, gamma=1.0, inner_steps=8), 13)
    points = [p.detach().clone() for p in params]
    anchors = [optimizer.state[p]["anchor"].clone() for p in params]
    optimizer.train()
    assert same(params, points)
    for _ in range(2):
        optimizer.eval()
        assert same(params, anchors)
    for _ in range(2):
        optimizer.train()
        assert same(params, points)
    with optimizer.at_anchor():
        assert same(params, anchors)
        with optimizer.at_anchor():
            assert same(params, anchors)
        assert same(params, anchors)
    assert same(params, points)


def test_the_exchange_moves_nothing_between_cycles():
    params, optimizer = descend(lambda p: EntropySGD(p, gamma=1.0, inner_steps=8), 16)
    before = [p.detach().clone() for p in params]
    with optimizer.at_anchor():
        assert same(params, before)
    assert same(params, before)
    assert optimizer.phase == (0, 2)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_low_precision_anchors_survive_the_exchange(dtype):
    params, optimizer = descend(lambda p: EntropySGD(p, lr=1e-3, inner_steps=8), 13, dtype)
    points = [p.detach().clone() for p in params]
    anchors = [optimizer.state[p]["anchor"].clone() for p in params]
    optimizer.eval()
    assert same(params, [x.to(dtype) for x in anchors])
    optimizer.train()
    assert same(params, points)
    assert same([optimizer.state[p]["anchor"] for p in params], anchors)


def test_low_precision_outer_steps_too_small_for_the_weights_add_up():
    # Each cycle moves the anchor by far less than half a unit in the last place of bfloat16.
    p = nn.Parameter(torch.full((64,), 1.0, dtype=torch.bfloat16))
    optimizer = Relaxation(
        [p], lr=2.0**-6, momentum=0, inner_steps=2, mean=0.5, outer_lr=0.01, fused=False
    )
    for _ in range(400):
        p.grad = torch.ones_like(p)
        optimizer.step()
    # In exact arithmetic: 200 cycles of 0.01 (0.5 + 0.75) 2^-6 = 0.0391.
    moved = 1.0 - optimizer.state[p]["mean"].mean().item()
    assert moved == pytest.approx(200 * 0.01 * 1.25 * 2.0**-6, rel=0.2)


def test_low_precision_weights_moved_between_cycles_become_the_anchor():
    params, optimizer = descend(lambda p: EntropySGD(p, inner_steps=4), 4, torch.bfloat16)
    with torch.no_grad():
        params[0].zero_()
    for p in params:
        p.grad = torch.zeros_like(p)
    optimizer.param_groups[0]["lr"] = 0.0
    optimizer.step()
    assert optimizer.state[params[0]]["anchor"].count_nonzero() == 0
    assert optimizer.state[params[1]]["anchor"].count_nonzero() > 0


def test_low_precision_explicit_pull_noise_and_outer_momentum_stay_finite_and_float32():
    params, optimizer = descend(
        lambda p: Relaxation(
            p, lr=0.01, inner_steps=3, gamma=1.0, integrator="explicit", temperature=1e-3,
            outer_lr=0.5, outer_momentum=0.5,
        ), 20, torch.bfloat16,
    )  # fmt: skip
    for p in params:
        assert p.dtype == torch.bfloat16
        assert torch.isfinite(p).all()
        assert optimizer.state[p]["outer_momentum_buffer"].dtype == torch.float32
        assert optimizer.state[p]["momentum_buffer"].dtype == torch.bfloat16


def test_a_step_at_the_anchor_is_refused():
    _, optimizer = descend(EntropySGD, 3)
    optimizer.eval()
    with pytest.raises(ArgumentError, match=r"call train\(\)"):
        optimizer.step()
    assert optimizer.phase == (3, 0)


def test_finish_cycle_steps_to_the_partial_mean():
    params, optimizer = descend(lambda p: EntropySGD(p, inner_steps=8), 13)
    means = [optimizer.state[p]["mean"].clone() for p in params]
    optimizer.eval()
    optimizer.finish_cycle()
    assert same(params, means)
    assert optimizer.phase == (0, 2)
    optimizer.finish_cycle()
    assert optimizer.phase == (0, 2)
    optimizer.train()
    assert same(params, means)


def test_finish_cycle_while_training():
    params, optimizer = descend(lambda p: EntropySGD(p, inner_steps=8), 13)
    means = [optimizer.state[p]["mean"].clone() for p in params]
    optimizer.finish_cycle()
    assert same(params, means)


def test_resetting_the_momentum_starts_each_cycle_at_rest():
    p = nn.Parameter(torch.zeros(2))
    optimizer = Relaxation([p], lr=0.1, momentum=0.9, inner_steps=2, reset_momentum=True)
    for _ in range(2):
        p.grad = torch.ones(2)
        optimizer.step()
    before = p.detach().clone()
    p.grad = torch.ones(2)
    optimizer.step()
    torch.testing.assert_close(p.detach(), before - 0.1 * 1.9)  # g + m g, as on the first step


def test_weights_that_others_moved_between_cycles_are_the_new_anchor():
    params, optimizer = descend(lambda p: EntropySGD(p, gamma=100.0, inner_steps=4), 4)
    with torch.no_grad():
        for p in params:
            p.mul_(0.5)
    halves = [p.detach().clone() for p in params]
    for p in params:
        p.grad = torch.zeros_like(p)
    optimizer.step()
    assert same([optimizer.state[p]["anchor"] for p in params], halves)


def test_frozen_parameters_sit_still_and_late_ones_join():
    a, b = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))
    optimizer = EntropySGD([a, b], gamma=1.0, inner_steps=5, lr=0.1)
    a.grad = torch.ones(3)
    for _ in range(3):
        optimizer.step()
    assert torch.equal(b, torch.ones(3))
    assert b not in optimizer.state
    b.grad = torch.ones(3)
    optimizer.step()  # within a cycle: anchored where it was
    assert torch.equal(optimizer.state[b]["anchor"], torch.ones(3))
    a.grad = None
    kept = a.detach().clone()
    mean = optimizer.state[a]["mean"].clone()
    b.grad = torch.ones(3)
    optimizer.param_groups[0]["inner_steps"] = 6
    optimizer.step()  # a has no gradient: no inner step for it
    assert torch.equal(a, kept)
    optimizer.step()  # but the outer step takes it along
    assert torch.equal(a, mean)


def test_groups_differ_in_everything_but_their_cycles():
    a, b = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))
    optimizer = EntropySGD(
        [{"params": [a], "lr": 0.1, "gamma": 3.0, "mean": None}, {"params": [b]}], lr=0.2,
        inner_steps=4, kappa=2.0,
    )  # fmt: skip
    first, second = optimizer.param_groups
    assert (first["gamma"], first["lr"], first["mean"]) == (3.0, 0.1, None)
    assert (second["gamma"], second["lr"]) == (pytest.approx(2 * 0.1 / (0.2 * 4)), 0.2)
    for _ in range(6):
        a.grad, b.grad = torch.ones(3), torch.ones(3)
        optimizer.step()
    assert "mean" not in optimizer.state[a]
    assert "mean" in optimizer.state[b]
    with pytest.raises(ArgumentError, match="all groups share"):
        optimizer.add_param_group({"params": [nn.Parameter(torch.ones(1))], "inner_steps": 3})


def test_a_group_added_within_a_cycle_joins_it():
    a, b = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))
    optimizer = EntropySGD([a], inner_steps=4, lr=0.1)
    a.grad = torch.ones(3)
    optimizer.step()
    optimizer.add_param_group({"params": [b]})
    b.grad = torch.ones(3)
    for _ in range(3):
        optimizer.step()
    assert {g["outer_index"] for g in optimizer.param_groups} == {1}
    assert torch.equal(b, optimizer.state[b]["mean"])


def test_mixed_precisions_in_one_group():
    a = nn.Parameter(torch.ones(3))
    b = nn.Parameter(torch.ones(3, dtype=torch.bfloat16))
    c = nn.Parameter(torch.ones(2, dtype=torch.float64))
    optimizer = EntropySGD([a, b, c], inner_steps=3, temperature=1e-6)
    for _ in range(7):
        for p in (a, b, c):
            p.grad = torch.ones_like(p)
        optimizer.step()
    alone = nn.Parameter(torch.ones(3))
    single = EntropySGD([alone], inner_steps=3, temperature=1e-6)
    for _ in range(7):
        alone.grad = torch.ones(3)
        single.step()
    assert torch.equal(a, alone)
    assert optimizer.state[b]["anchor"].dtype == torch.float32
    assert c.dtype == torch.float64


def test_a_step_with_lr_0_and_zero_gradients_is_a_no_op_as_distributed_checkpoints_need():
    for make in (
        partial(EntropySGD, temperature=1.0, inner_steps=2),
        partial(Relaxation, torch.optim.AdamW, gamma=1.0, mean="uniform", inner_steps=2),
        partial(Lookahead, inner_steps=1, outer_momentum=0.9),
    ):
        params = weights()
        before = [p.detach().clone() for p in params]
        optimizer = make(params) if make.func is not Relaxation else Relaxation(
            params, *make.args, **make.keywords
        )  # fmt: skip
        for group in optimizer.param_groups:
            group["lr"] = 0.0
        for _ in range(4):
            for p in params:
                p.grad = torch.zeros_like(p)
            optimizer.step()
        assert same(params, before)


def test_gradients_are_left_as_they_were():
    for integrator in ("semi-implicit", "explicit"):
        for base in (None, torch.optim.AdamW):
            params = weights()
            optimizer = EntropySGD(params, gamma=2.0, integrator=integrator, base=base)
            for p in params:
                p.grad = torch.ones_like(p)
            kept = [p.grad for p in params]
            for _ in range(3):
                optimizer.step()
            assert all(p.grad is g for p, g in zip(params, kept, strict=True))
            assert all(torch.equal(g, torch.ones_like(g)) for g in kept)


def test_explicit_pull_with_a_foreign_base_pulls():
    found = quadratic(
        0.0, 1.0,
        lambda p: Relaxation(
            p, torch.optim.SGD, lr=0.1, gamma=2.0, integrator="explicit", inner_steps=9
        ), 5,
    )  # fmt: skip
    assert found == 1.0  # no force moved it away from its anchor
    y = nn.Parameter(torch.tensor([1.0], dtype=torch.float64))
    optimizer = Relaxation(
        [y], torch.optim.SGD, lr=0.1, gamma=2.0, integrator="explicit", inner_steps=9
    )
    for expected in (0.9, 0.8 + 0.02):  # y -= h g;  y -= h (g + gamma (y - x))
        y.grad = torch.ones(1, dtype=torch.float64)
        optimizer.step()
        assert y.item() == pytest.approx(expected, abs=1e-15)


def test_maximize_pulls_to_the_anchor_too():
    ours, _ = descend(
        lambda p: Relaxation(p, lr=0.1, gamma=5.0, integrator="explicit", maximize=True), 15
    )
    params = weights()
    mirrored = Relaxation(params, lr=0.1, gamma=5.0, integrator="explicit")
    generator = torch.Generator().manual_seed(1)
    for _ in range(15):
        for p in params:
            p.grad = -torch.randn(p.shape, generator=generator)
        mirrored.step()
    for a, b in zip(ours, params, strict=True):
        torch.testing.assert_close(a, b)


def test_copies_and_pickles_go_on_alike():
    for make in (
        partial(EntropySGD, temperature=1e-4, inner_steps=4, outer_momentum=0.5, outer_lr=0.5),
        partial(EntropySGD, base=torch.optim.AdamW, inner_steps=4),
    ):
        params, optimizer = descend(make, 10)
        for twin in (copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):
            theirs = twin.param_groups[0]["params"]
            assert same(params, theirs)
            for p, q in zip(params, theirs, strict=True):
                p.grad, q.grad = torch.ones_like(p), torch.ones_like(q)
            reference = copy.deepcopy((params, optimizer))
            for p in reference[0]:
                p.grad = torch.ones_like(p)
            for _ in range(5):
                twin.step()
                reference[1].step()
            assert same(reference[0], theirs)


def test_a_state_of_torchs_sgd_is_a_fresh_cycle():
    params, theirs = descend(lambda p: torch.optim.SGD(p, 0.1, 0.9, nesterov=True), 5)
    optimizer = EntropySGD(params, lr=0.3, inner_steps=4)
    optimizer.load_state_dict(theirs.state_dict())
    assert optimizer.param_groups[0]["lr"] == 0.1
    assert optimizer.phase == (0, 0)
    before = theirs.state[params[0]]["momentum_buffer"].clone()
    for p in params:
        p.grad = torch.zeros_like(p)
    optimizer.step()
    torch.testing.assert_close(optimizer.state[params[0]]["momentum_buffer"], 0.9 * before)


def test_a_loaded_state_shares_no_memory_and_lies_as_the_weights_do():
    p = nn.Parameter(torch.randn(4, 3, 2, 2).to(memory_format=torch.channels_last))
    first = EntropySGD([p], inner_steps=4)
    p.grad = torch.randn_like(p)
    first.step()
    saved = first.state_dict()
    for entry in saved["state"].values():
        for name, value in entry.items():
            entry[name] = value.contiguous()  # as safetensors would
    second = EntropySGD([p], inner_steps=4)
    second.load_state_dict(saved)
    for name, value in second.state[p].items():
        assert value.stride() == p.stride()
        assert value.data_ptr() != saved["state"][0][name].data_ptr()


@pytest.mark.parametrize("grad_format", [torch.contiguous_format, torch.channels_last])
def test_gradients_that_lie_otherwise_in_memory_are_not_mixed_up(grad_format):
    # torch's fused kernel walks through memory; it would add them up in the wrong places.
    start = torch.randn(4, 3, 2, 2)
    grads = [torch.randn(4, 3, 2, 2) for _ in range(4)]
    p = nn.Parameter(start.clone().to(memory_format=torch.channels_last))
    q = nn.Parameter(start.clone())
    ours = Relaxation([p], lr=0.1, inner_steps=3, gamma=1.0, mean=0.25)
    plain = Relaxation([q], lr=0.1, inner_steps=3, gamma=1.0, mean=0.25, fused=False)
    for step, g in enumerate(grads):
        p.grad = g.clone().to(memory_format=grad_format if step % 2 else torch.channels_last)
        q.grad = g.clone()
        ours.step()
        plain.step()
    torch.testing.assert_close(p, q)


def test_slices_of_larger_tensors_are_updated_in_place():
    whole = torch.randn(6, 4)
    kept = whole.clone()
    view = whole[:, ::2].requires_grad_()
    optimizer = EntropySGD([view], lr=0.1, inner_steps=2)
    view.grad = torch.ones(6, 2)
    optimizer.step()
    torch.testing.assert_close(whole[:, ::2], kept[:, ::2] - 0.1 * 1.9, rtol=1e-4, atol=1e-4)
    assert torch.equal(whole[:, 1::2], kept[:, 1::2])


def test_momentum_that_is_switched_on_later_starts_then():
    p = nn.Parameter(torch.zeros(2))
    optimizer = Relaxation([p], lr=0.1, momentum=0.0, inner_steps=10)
    for momentum in (0.0, 0.9):
        optimizer.param_groups[0]["momentum"] = momentum
        p.grad = torch.ones(2)
        optimizer.step()
    torch.testing.assert_close(p.detach(), torch.full((2,), -0.1 - 0.19))


@pytest.mark.parametrize(("arguments", "said"), [
    ({"lr": -0.1}, "lr=-0.1"),
    ({"gamma": -1.0}, "gamma=-1"),
    ({"kappa": -1.0}, "kappa=-1"),
    ({"kappa": 1.0, "lr": 0.0}, "positive lr"),
    ({"base": torch.optim.AdamW, "momentum": 0.5}, r"momentum was given.*functools.partial"),
    ({"base": torch.optim.AdamW, "reset_momentum": True}, "reset_momentum"),
    ({"base": torch.optim.LBFGS}, "LBFGS.*one gradient per step"),
    ({"base": NewtonCG}, "NewtonCG.*one gradient per step"),
    ({"base": EntropySGD}, "EntropySGD.*one gradient per step"),
])  # fmt: skip
def test_arguments_without_meaning_are_refused_by_name(arguments, said):
    with pytest.raises(ArgumentError, match=said):
        Relaxation(weights(), **arguments)


def test_sparse_gradients_are_refused():
    p = nn.Parameter(torch.zeros(4))
    p.grad = torch.sparse_coo_tensor([[1]], [1.0], (4,), check_invariants=True)
    with pytest.raises(ArgumentError, match="sparse=False"):
        EntropySGD([p]).step()


def test_the_scaler_is_not_told_that_steps_may_be_skipped_inside():
    # A fused base says so of itself; a relaxation has more to skip than the base's step.
    base = partial(torch.optim.AdamW, fused=True)
    assert not getattr(Relaxation(weights(), base), "_step_supports_amp_scaling", False)
    assert not getattr(EntropySGD(weights(), fused=True), "_step_supports_amp_scaling", False)


def test_steps_skipped_by_a_gradient_scaler_do_not_advance_the_cycle():
    p = nn.Parameter(torch.ones(3))
    optimizer = EntropySGD([p], inner_steps=4)
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    scaler.scale(p.sum()).backward()
    scaler.step(optimizer)
    scaler.update()
    assert optimizer.phase == (1, 0)
    p.grad = torch.full((3,), torch.inf)
    scaler.step(optimizer)
    scaler.update()
    assert optimizer.phase == (1, 0)


@pytest.mark.simulation
@given(
    inner_steps=st.integers(1, 6),
    steps=st.integers(1, 25),
    mean=st.sampled_from([None, "uniform", 0.25, 1.0]),
    outer_lr=st.sampled_from([0.5, 1.0, 1.5]),
    outer_momentum=st.sampled_from([0.0, 0.5]),
    gamma=st.floats(0, 10),
)
@settings(max_examples=60, deadline=None)
def test_it_commutes_with_translations(inner_steps, steps, mean, outer_lr, outer_momentum, gamma):
    # No member of the family knows where the origin is.
    def run(shift):
        p = nn.Parameter(torch.full((3,), shift, dtype=torch.float64))
        optimizer = Relaxation(
            [p], lr=0.1, inner_steps=inner_steps, mean=mean, outer_lr=outer_lr,
            outer_momentum=outer_momentum, gamma=gamma,
        )  # fmt: skip
        for step in range(steps):
            p.grad = torch.tensor([1.0, -2.0, step % 3 - 1.0], dtype=torch.float64)
            optimizer.step()
        return p.detach() - shift

    torch.testing.assert_close(run(0.0), run(7.0), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("mean", [None, 0.25, "uniform"])
def test_good_weights_loaded_after_a_divergence_are_trained_again(mean):
    p = nn.Parameter(torch.ones(3))
    optimizer = Relaxation([p], lr=0.1, momentum=0.0, inner_steps=2, gamma=0.5, mean=mean)
    for gradient in (1.0, float("nan"), 1.0, 1.0):
        p.grad = torch.full((3,), gradient)
        optimizer.step()
    assert p.isnan().all()
    with torch.no_grad():
        p.fill_(1.0)
    for _ in range(4):
        p.grad = p.detach().clone()
        optimizer.step()
    assert (p < 1).all()
