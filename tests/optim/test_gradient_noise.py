"""Gradient noise: its law, its limit, and that it is a function of where the training stands."""

from functools import partial
from itertools import pairwise
from math import sqrt

import pytest
import torch
from torch import nn

from wellposed.errors import ArgumentError
from wellposed.optim import Cosine, GradientNoise, GroupScheduler

plain = partial(torch.optim.SGD)


def make(params, **arguments):
    """With plain SGD of step size 1 inside, so that a step is the noisy gradient."""
    return GradientNoise(params, lr=1.0, base=plain, **arguments)


def steps(params, optimizer, count):
    """The noise of each step, for gradients that are 0."""
    drawn = []
    for _ in range(count):
        before = [p.detach().clone() for p in params]
        for p in params:
            p.grad = torch.zeros_like(p)
        optimizer.step()
        drawn.append([b - p.detach() for b, p in zip(before, params, strict=True)])
    return drawn


def test_the_variance_decreases_as_the_paper_says():
    n = 100_000
    p = nn.Parameter(torch.zeros(n, dtype=torch.float64))
    drawn = [d[0] for d in steps([p], make([p], eta=0.3), 5)]
    for t, noise in enumerate(drawn):
        variance = 0.3 / (1 + t) ** 0.55
        # four standard deviations of a mean and of a variance of n normal numbers
        assert abs(noise.mean()) < 4 * sqrt(variance / n)
        assert abs(noise.var() / variance - 1) < 4 * sqrt(2 / n)
        kurtosis = (noise**4).mean() / variance**2
        assert abs(kurtosis - 3) < 4 * sqrt(96 / n)
    for a, b in pairwise(drawn):
        correlation = (a * b).mean() / (a.std() * b.std())
        assert abs(correlation) < 4 / sqrt(n)


def test_it_is_added_to_the_gradient():
    p, q = nn.Parameter(torch.zeros(3)), nn.Parameter(torch.zeros(3))
    noise = steps([p], make([p]), 1)[0][0]
    q.grad = torch.tensor([1.0, 2.0, 3.0])
    make([q]).step()
    torch.testing.assert_close(-q.detach(), q.grad + noise, rtol=0, atol=1e-7)


@pytest.mark.parametrize("base", [None, torch.optim.AdamW])
def test_without_variance_it_is_the_base_bitwise(base):
    ours, theirs = nn.Parameter(torch.ones(5)), nn.Parameter(torch.ones(5))
    optimizer = GradientNoise([ours], lr=0.1, eta=0.0, base=base)
    reference = (
        torch.optim.SGD([theirs], lr=0.1, momentum=0.9, nesterov=True, fused=True)
        if base is None
        else base([theirs], lr=0.1)
    )
    for step in range(20):
        generator = torch.Generator().manual_seed(step)
        ours.grad = torch.randn(5, generator=generator)
        theirs.grad = ours.grad.clone()
        optimizer.step()
        reference.step()
    assert torch.equal(ours, theirs)


def test_without_a_step_size_nothing_moves():
    # Distributed checkpoint makes an optimizer's state by such a step.
    p = nn.Parameter(torch.tensor([1.0, 1e-30, -3e5]))
    before = p.detach().clone()
    for base in (None, plain, torch.optim.AdamW):
        optimizer = GradientNoise([p], lr=0.0, eta=1.0, base=base)
        steps([p], optimizer, 3)
        assert torch.equal(p, before)


def test_seeds_groups_and_places_differ_and_same_seeds_agree():
    def draw(seed, count=1):
        params = [nn.Parameter(torch.zeros(4)) for _ in range(4)]
        groups = [{"params": params[:2]}, {"params": params[2:]}]
        return steps(params, make(groups, noise_seed=seed), count)[-1]

    flat = torch.stack([*draw(0), *draw(1), *draw(0, 2)]).flatten()
    assert flat.unique().numel() == flat.numel()
    assert all(torch.equal(a, b) for a, b in zip(draw(3), draw(3), strict=True))


def test_the_noise_of_a_weight_does_not_depend_on_which_others_have_gradients():
    def draw(with_gradient):
        params = [nn.Parameter(torch.zeros(4)) for _ in range(3)]
        optimizer = make(params)
        for p, given in zip(params, with_gradient, strict=True):
            p.grad = torch.zeros(4) if given else None
        optimizer.step()
        return params

    alone, together = draw([False, False, True]), draw([True, True, True])
    assert torch.equal(alone[2], together[2])
    assert not alone[0].any()


def test_low_precision_and_complex_weights():
    half = nn.Parameter(torch.zeros(1000, dtype=torch.bfloat16))
    both = nn.Parameter(torch.zeros(1000, dtype=torch.complex64))
    optimizer = make([half, both], eta=1.0)
    noise = steps([half, both], optimizer, 1)[0]
    assert noise[0].dtype == torch.bfloat16
    assert noise[0].float().std() == pytest.approx(1.0, abs=0.1)
    assert torch.view_as_real(noise[1]).std() == pytest.approx(1.0, abs=0.1)


def test_its_strength_can_be_scheduled():
    p = nn.Parameter(torch.zeros(10))
    optimizer = make([p])
    scheduler = GroupScheduler(optimizer, Cosine(), 4, key="eta")
    for _ in range(4):
        steps([p], optimizer, 1)
        scheduler.step()
    assert optimizer.param_groups[0]["eta"] == pytest.approx(0.0, abs=1e-12)


def test_a_group_that_comes_later_is_as_quiet_as_the_others():
    p, q = nn.Parameter(torch.zeros(3)), nn.Parameter(torch.zeros(3))
    optimizer = make([p])
    steps([p], optimizer, 7)
    optimizer.add_param_group({"params": [q]})
    assert optimizer.param_groups[1]["noise_index"] == 7


@pytest.mark.parametrize("name", ["eta", "decay"])
def test_it_refuses_what_makes_no_sense(name):
    p = nn.Parameter(torch.zeros(3))
    with pytest.raises(ArgumentError, match=f"{name}=-1 was given; it is at least 0"):
        GradientNoise([p], **{name: -1.0})
