"""The pieces of a cycle, one at a time, in exact arithmetic."""

from math import sqrt

import pytest
import torch
from torch import nn

from wellposed.errors import ArgumentError
from wellposed.optim import EntropySGD, Relaxation
from wellposed.optim import _cycle as cycle


def group(**values):
    plain = {
        "lr": 0.5, "gamma": 2.0, "gamma_growth": 0.0, "gamma_max": None, "outer_index": 0,
        "inner_index": 0, "temperature": 0.0, "momentum": 0.0, "integrator": "semi-implicit",
        "mean": None, "outer_lr": 1.0, "outer_momentum": 0.0, "noise_seed": 0,
        "outer_nesterov": True, "last_lr": None, "reverse": 0.0, "block": 1,
    }  # fmt: skip
    return {**plain, **values}


def bucket(y, x, mean=None, velocity=None):
    p = nn.Parameter(torch.tensor(y))
    p.grad = torch.zeros_like(p)
    optimizer = Relaxation(
        [p], lr=0.0, inner_steps=9, mean=None if mean is None else 0.5,
        outer_momentum=0.0 if velocity is None else 0.5,
    )  # fmt: skip
    optimizer.step()
    made = optimizer._rosters.whole(0, optimizer.param_groups[0], optimizer.state)[0]
    made.anchors[0].copy_(torch.tensor(x))
    if mean is not None:
        made.means[0].copy_(torch.tensor(mean))
    if velocity is not None:
        made.velocities[0].copy_(torch.tensor(velocity))
    return made


@torch.no_grad()
def test_relax_pulls_then_averages():
    b = bucket([4.0], [0.0], mean=[1.0])
    cycle.relax(b, group(mean=0.5), None)  # h gamma = 1: halfway; then the mean of 1 and 2
    assert (b.params[0].item(), b.means[0].item()) == (2.0, 1.5)


@torch.no_grad()
def test_relax_adds_noise_before_the_pull():
    b = bucket([4.0], [0.0])
    cycle.relax(b, group(), [torch.tensor([2.0])])
    assert b.params[0].item() == 3.0


@torch.no_grad()
def test_relax_without_anything_to_do_does_nothing():
    b = bucket([4.0], [0.0])
    cycle.relax(b, group(gamma=0.0), None)
    cycle.relax(b, group(integrator="explicit"), None)
    assert b.params[0].item() == 4.0


@torch.no_grad()
@pytest.mark.parametrize(("eta", "momentum", "expected"), [
    (1.0, 0.0, 2.0), (0.5, 0.0, 3.0), (1.5, 0.0, 1.0),
    (0.5, 0.5, 2.0),  # d = 2, v = 0.5 * 2 + 2 = 3; x - 0.5 (2 + 0.5 * 3) = 4 - 1.75 = 2.25
], ids=str)  # fmt: skip
def test_the_outer_step(eta, momentum, expected):
    b = bucket([2.0], [4.0], velocity=[0.0] if momentum == 0 else [4 / 3])
    cycle.depart(b, group(outer_lr=eta, outer_momentum=momentum))
    if momentum:  # v = 0.5 * 4/3 + 2 = 8/3; x - 0.5 (2 + 0.5 * 8/3) = 4 - 5/3
        expected = 4 - 5 / 3
        assert b.velocities[0].item() == pytest.approx(8 / 3)
    assert b.params[0].item() == pytest.approx(expected)
    assert b.anchors[0].item() == 4.0


@torch.no_grad()
def test_the_outer_step_goes_to_the_mean_exactly():
    # x - (x - mu) would miss it by rounding for most numbers.
    generator = torch.Generator().manual_seed(0)
    y, x, mean = (torch.randn(1000, generator=generator) for _ in range(3))
    b = bucket(y.tolist(), x.tolist(), mean=mean.tolist())
    cycle.land(b, group(mean=0.25))
    cycle.depart(b, group(mean=0.25))
    assert torch.equal(b.params[0], mean)
    assert not torch.equal(x - (x - mean), mean)


@torch.no_grad()
def test_a_cycle_begins_where_the_weights_are():
    b = bucket([3.0], [0.0], mean=[1.0])
    cycle.begin(b)
    assert (b.anchors[0].item(), b.means[0].item(), b.params[0].item()) == (3.0, 3.0, 3.0)


@torch.no_grad()
def test_an_exchange_is_undone_by_the_next():
    b = bucket([3.0], [1.0])
    cycle.exchange(b, to_anchor=True)
    assert (b.params[0].item(), b.anchors[0].item()) == (1.0, 3.0)
    cycle.exchange(b, to_anchor=False)
    assert (b.params[0].item(), b.anchors[0].item()) == (3.0, 1.0)


def test_gamma_grows_by_its_factor_up_to_its_limit():
    assert cycle.gamma_of(group()) == 2.0
    assert cycle.gamma_of(group(gamma_growth=0.1, outer_index=3)) == pytest.approx(2 * 1.1**3)
    assert cycle.gamma_of(group(gamma_growth=0.1, outer_index=30, gamma_max=5.0)) == 5.0


def test_the_pull_is_the_weight_of_the_anchor():
    assert cycle.pull_of(group()) == 0.5
    assert cycle.pull_of(group(lr=torch.tensor(0.5))) == 0.5
    assert cycle.pull_of(group(lr=0.0)) == 0.0


def test_the_noise_has_the_standard_deviation_of_the_temperature():
    assert cycle.noise_std(group()) == 0.0
    assert cycle.noise_std(group(temperature=0.3)) == pytest.approx(sqrt(0.3))
    assert cycle.noise_std(group(temperature=0.3, momentum=0.9)) == pytest.approx(sqrt(3.0))


def noisy(active, seed=0):
    """Displacements of three parameters by noise alone."""
    params = [nn.Parameter(torch.zeros(3)) for _ in range(3)]
    optimizer = EntropySGD(params, lr=0.1, temperature=1.0, noise_seed=seed, gamma=0.0)
    for p, takes_part in zip(params, active, strict=True):
        p.grad = torch.zeros(3) if takes_part else None
    optimizer.step()
    return [p.detach() for p in params]


def test_a_parameters_noise_does_not_depend_on_which_others_take_part():
    everyone, some = noisy([True, True, True]), noisy([False, True, False])
    assert torch.equal(everyone[1], some[1])
    assert torch.equal(some[0], torch.zeros(3))
    assert not torch.equal(everyone[0], everyone[1])
    assert not torch.equal(everyone[1], noisy([True, True, True], seed=1)[1])


def test_noise_differs_from_step_to_step_and_group_to_group():
    a, b = nn.Parameter(torch.zeros(3)), nn.Parameter(torch.zeros(3))
    optimizer = EntropySGD(
        [{"params": [a]}, {"params": [b]}], lr=0.1, temperature=1.0, momentum=0.0, gamma=0.0
    )
    a.grad, b.grad = torch.zeros(3), torch.zeros(3)
    optimizer.step()
    first = a.detach().clone()
    assert not torch.equal(a, b)
    optimizer.step()
    assert not torch.equal(a - first, first)


def test_noise_for_shards_is_refused():
    class Shard(torch.Tensor):
        pass

    p = torch.zeros(3).as_subclass(Shard).requires_grad_()
    p.grad = torch.zeros(3)
    with pytest.raises(ArgumentError, match=r"Shards.*temperature=0"):
        EntropySGD([p], temperature=1.0).step()


def test_the_summit_climbs_and_the_inner_point_goes_back_to_it():
    entry = bucket([2.0], [1.0], mean=[3.0])
    with torch.no_grad():
        cycle.relax(entry, group(mean=0.5, reverse=0.4, gamma=0.0, inner_index=1, block=2), None)
    expected = (1 - 0.5) * 3 + 0.5 * (1 + 0.4 * (3 - 2))  # half of the way to x + r (z - y)
    assert entry.means[0].item() == pytest.approx(expected)
    assert entry.params[0].item() == pytest.approx(expected)
