"""Replicas in one process: consensus, stability and bias in closed form."""

from math import inf

import pytest
import torch
from torch import nn

from wellposed.errors import ArgumentError
from wellposed.optim import GroupScheduler, Linear, Relaxation

L, H, LAMBDA, GAMMA = 5, 0.1, 2.0, 0.7


def copies(values, dtype=torch.float64):
    """One parameter per replica, and the groups that say so."""
    params = [nn.Parameter(torch.tensor([v], dtype=dtype)) for v in values]
    return params, [{"params": [p], "replica": a} for a, p in enumerate(params)]


def descend(params, optimizer, steps, curvatures=None, centers=None):
    """Steps on quadratics, each replica on its own."""
    n = len(params)
    for _ in range(steps):
        for p, k, c in zip(params, curvatures or [LAMBDA] * n, centers or [0.0] * n, strict=True):
            p.grad = k * (p.detach() - c)
        optimizer.step()
    return torch.cat([p.detach() for p in params])


def decrease(curvature, mean, integrator, gamma=GAMMA, steps=L):
    """A in mu_L = (1 - A) x, exactly: oracle 6 of the study."""
    a = curvature + gamma
    explicit = integrator == "explicit"
    q = 1 - H * a if explicit else (1 - H * curvature) / (1 + H * gamma)
    if mean is None:
        bracket = q**steps
    else:
        r = 1 - mean
        bracket = r**steps + mean * q * (q**steps - r**steps) / (q - r)
    return (1 - bracket) * curvature / a


@pytest.mark.parametrize("mean", [None, 0.25])
@pytest.mark.parametrize("eta", [1.0, 0.4])
@pytest.mark.parametrize(("integrator", "rho"), [
    ("semi-implicit", 0.0), ("semi-implicit", 0.3), ("semi-implicit", 1e6), ("semi-implicit", inf),
    ("explicit", 0.0), ("explicit", 0.3), ("explicit", 1.1),
])  # fmt: skip
def test_disagreement_contracts_by_its_closed_form(mean, eta, integrator, rho):
    params, groups = copies([3.0, 1.0, -1.0])
    optimizer = Relaxation(
        groups, lr=H, momentum=0.0, inner_steps=L, gamma=GAMMA, mean=mean, outer_lr=eta,
        rho=rho, integrator=integrator,
    )  # fmt: skip
    a = decrease(LAMBDA, mean, integrator)
    if integrator == "explicit":
        factor = 1 - eta * (a + rho)
    else:
        factor = 1 - eta * (1 - (1 / (1 + rho)) * (1 - a))
    at = descend(params, optimizer, 3 * L)
    assert (at[0] - at.mean()).item() == pytest.approx(2.0 * factor**3, rel=1e-12, abs=1e-12)
    # The mean over replicas does not know of rho.
    assert at.mean().item() == pytest.approx((1 - eta * a) ** 3, rel=1e-12)


@pytest.mark.simulation
@pytest.mark.parametrize(("momentum", "limit"), [(0.0, 2.0), (0.9, 2 * 1.9 / 2.8)])
@pytest.mark.parametrize("integrator", ["explicit", "semi-implicit"])
def test_the_limit_of_stability_of_the_explicit_form_which_the_other_does_not_have(
    momentum, limit, integrator
):
    def after(size):
        params, groups = copies([1.0, -1.0])
        rho = size - decrease(LAMBDA, None, "explicit")
        optimizer = Relaxation(
            groups, lr=H, momentum=0.0, inner_steps=L, gamma=GAMMA, rho=rho,
            outer_momentum=momentum, integrator=integrator,
        )  # fmt: skip
        return descend(params, optimizer, 200 * L)[0].abs().item()

    assert after(limit - 0.05) < 1e-2
    assert after(1e6 if integrator == "semi-implicit" else limit - 0.05) < 1e-2
    if integrator == "explicit":
        assert after(limit + 0.05) > 1e2


@pytest.mark.simulation
def test_unequal_replicas_meet_where_the_sum_of_their_envelopes_is_least():
    curvatures, centers = [1.0, 4.0], [1.0, -1.0]
    least_sum = sum(k * c for k, c in zip(curvatures, centers, strict=True)) / sum(curvatures)
    biases = []
    for t, steps, cycles in ((0.2, 30, 60), (0.02, 8, 300)):
        gamma = 1 / t
        params, groups = copies([0.0, 0.5])
        optimizer = Relaxation(groups, lr=H, momentum=0.0, inner_steps=steps, gamma=gamma, rho=inf)
        at = descend(params, optimizer, cycles * steps, curvatures, centers)
        weights = [k / (1 + t * k) for k in curvatures]  # slopes of the Moreau envelopes
        meeting = sum(w * c for w, c in zip(weights, centers, strict=True)) / sum(weights)
        assert at.tolist() == pytest.approx([meeting, meeting], abs=1e-5)
        biases.append(abs(at[0].item() - least_sum))
    assert biases[0] == pytest.approx(0.6 - 0.4545, abs=1e-3)
    assert biases[0] / biases[1] == pytest.approx(10, rel=0.4)  # of first order in t


def run(groups, params, steps=2 * L, **arguments):
    """Steps with random gradients, the same in every run."""
    optimizer = Relaxation(groups, inner_steps=L, **arguments)
    generator = torch.Generator().manual_seed(1)
    for _ in range(steps):
        for p in params:
            p.grad = torch.randn(p.shape, generator=generator, dtype=torch.float32).to(p.dtype)
        optimizer.step()
    return optimizer


@pytest.mark.parametrize("rho", [0.5, inf])
def test_bfloat16_replicas_are_averaged_in_float32(rho):
    exact, groups = copies([1.0, 1.5], torch.float32)
    low, low_groups = copies([1.0, 1.5], torch.bfloat16)
    run(groups, exact, L, lr=1e-4, momentum=0.0, rho=rho)
    optimizer = run(low_groups, low, L, lr=1e-4, momentum=0.0, rho=rho)
    for p, q in zip(exact, low, strict=True):
        kept = optimizer.state[q]["mean"]
        assert kept.dtype == torch.float32
        torch.testing.assert_close(kept, p.detach(), atol=2e-3, rtol=0)
        assert torch.equal(kept.bfloat16(), q.detach())


def test_a_parameter_that_never_had_a_gradient_is_averaged_too():
    for dtype in (torch.float32, torch.bfloat16):
        idle, groups = copies([1.0, 2.0], dtype)
        moving = [nn.Parameter(torch.ones(1, dtype=dtype)) for _ in range(2)]
        for group, p in zip(groups, moving, strict=True):
            group["params"] = [*group["params"], p]
        run(groups, moving, L, rho=1.0)
        assert [p.item() for p in idle] == [1.25, 1.75]


def test_a_resumed_run_is_the_same_bit_for_bit():
    def start():
        params, groups = copies([1.0, 2.0, 4.0], torch.float32)
        return params, Relaxation(groups, inner_steps=3, rho=0.4, rho_growth=0.1, mean=0.5)

    straight, optimizer = start()
    descend(straight, optimizer, 11)
    first, before = start()
    descend(first, before, 5)
    second, after = start()
    after.load_state_dict(before.state_dict())
    with torch.no_grad():
        for p, q in zip(second, first, strict=True):
            p.copy_(q)
    descend(second, after, 6)
    assert all(torch.equal(p, q) for p, q in zip(straight, second, strict=True))


def test_rho_grows_to_its_limit_and_can_be_scheduled():
    params, groups = copies([1.0, -1.0])
    optimizer = Relaxation(
        groups, lr=1e-30, momentum=0.0, inner_steps=1, rho=1.0, rho_growth=1.0, rho_max=3.0
    )
    distances = [descend(params, optimizer, 1)[0].item() for _ in range(3)]
    assert distances == pytest.approx([1 / 2, 1 / 2 / 3, 1 / 2 / 3 / 4])  # rho 1, 2, then 3
    params, groups = copies([1.0, -1.0])
    optimizer = Relaxation(groups, lr=1e-30, momentum=0.0, inner_steps=1, rho=1.0)
    scheduler = GroupScheduler(optimizer, Linear(), total=2, key="rho")
    descend(params, optimizer, 1)
    scheduler.step()
    assert descend(params, optimizer, 1)[0].item() == pytest.approx(1 / 2 / 1.5)


def test_noise_differs_between_replicas_and_depends_on_their_number_alone():
    def noise(groups, params):
        run(groups, params, 1, temperature=1.0, momentum=0.0)
        return [p.item() for p in params]

    params, groups = copies([0.0, 0.0])
    both = noise(groups, params)
    assert both[0] != both[1]
    params, groups = copies([0.0, 0.0])
    backwards = noise(groups[:1] + groups[1:], params)
    assert backwards == both
    alone = noise([{"params": [p := nn.Parameter(torch.zeros(1).double())]}], [p])
    assert alone[0] == both[0]  # as in a process of its own


def test_groups_without_rho_keep_to_themselves():
    params, groups = copies([1.0, 3.0, 5.0, 7.0])
    for i, group in enumerate(groups):
        group |= {"replica": i // 2, "rho": inf if i % 2 else 0.0}
    optimizer = Relaxation(groups, lr=1e-30, momentum=0.0, inner_steps=1)
    assert descend(params, optimizer, 1).tolist() == [1.0, 5.0, 5.0, 5.0]


@pytest.mark.parametrize(("change", "said"), [
    ({"params": [nn.Parameter(torch.ones(2))]}, r"replica 1 has .*copies of one model"),
    ({"replica": -1}, r"replica=-1.*whole number"),
    ({"replica": True}, "replica=True"),
    ({"rho": 0.0}, r"rho > 0 in \[1, 0\].*same rho"),
    ({"rho": -1.0}, r"rho=-1.*at least 0"),
])  # fmt: skip
def test_what_cannot_be_coupled_is_refused(change, said):
    params, groups = copies([1.0, 2.0])
    groups[1] |= change
    with pytest.raises(ArgumentError, match=said):
        descend(params, Relaxation(groups, inner_steps=1, rho=1.0), 1)


def test_an_explicit_pull_of_infinite_strength_is_refused():
    with pytest.raises(ArgumentError, match=r"rho=inf.*semi-implicit"):
        Relaxation([nn.Parameter(torch.ones(1))], rho=inf, integrator="explicit")


def test_a_step_with_lr_0_moves_no_replica():
    params, groups = copies([1.0, 2.0])
    optimizer = Relaxation(groups, lr=0.0, inner_steps=1, rho=inf)
    assert descend(params, optimizer, 2).tolist() == [1.0, 2.0]


def test_steps_make_no_new_memory_for_the_mean():
    params, groups = copies([1.0, 2.0])
    optimizer = run(groups, params, 2 * L, rho=0.5)
    (kept,) = optimizer._coupling._views.values()
    descend(params, optimizer, 2 * L)
    (still,) = optimizer._coupling._views.values()
    assert still is kept
