"""Verification finds what is right, what is wrong, and what it cannot tell."""

import math

import pytest
import torch
from torch import nn

from wellposed.linalg import MeanLoss
from wellposed.linalg._agreement import Agreement, by_differences, compared, tolerance
from wellposed.linalg._kinds import KINDS


class Cube(torch.autograd.Function):
    """x^3 whose first derivative is right and whose second is not."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * 3 * x.detach() ** 2  # the derivative of the factor is lost


class Wrong(nn.Module):
    def forward(self, x):
        return Cube.apply(x)


def mean(middle):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(4, 5), middle, nn.Linear(5, 3))
    return MeanLoss(net, nn.CrossEntropyLoss(reduction="none"))


def data(n=12):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(n, 4, generator=generator), torch.arange(n) % 3


@pytest.mark.parametrize("forward", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_right_products_agree_with_differences(kind, forward):
    for middle in (nn.Tanh(), nn.ReLU(), nn.LayerNorm(5)):
        difference, rounding = by_differences(mean(middle), kind, *data(), forward=forward)
        assert difference < 1e-6
        assert rounding < 1e-4


def test_a_wrong_second_derivative_is_found():
    difference, rounding = by_differences(mean(Wrong()), "hessian", *data(), forward=False)
    assert difference > 0.01
    assert rounding < 1e-4
    agreement = Agreement(difference, rounding, math.nan, 1e-3)
    assert agreement.refuted
    assert not agreement.verified
    assert "disagrees with finite differences" in str(agreement)


def test_the_weights_are_left_alone():
    m = mean(nn.Tanh())
    before = [p.detach().clone() for p in m.params]
    by_differences(m, "hessian", *data(), forward=True)
    assert all(torch.equal(p, b) for p, b in zip(m.params, before, strict=True))


def test_what_cannot_be_copied_is_not_verified():
    m = mean(nn.Tanh())
    m.model.extra = m.model[0].weight * 2  # no leaf: torch refuses to copy it
    found = by_differences(m, "hessian", *data(), forward=True)
    assert all(map(math.isnan, found))
    agreement = Agreement(*found, math.nan, 1e-3)
    assert not agreement.verified
    assert not agreement.refuted
    assert "not verified" in str(agreement)


def test_another_way_that_fails_says_nothing_and_one_that_differs_refutes():
    def closed():
        raise RuntimeError

    one = torch.ones(3)
    assert math.isnan(compared(one, closed))
    assert compared(one, lambda: one) == 0
    assert Agreement(0.0, 0.0, compared(one, lambda: 1.1 * one), tolerance([one])).refuted
    assert Agreement(math.nan, math.nan, 1e-6, tolerance([one])).verified
    assert "another way" in str(Agreement(math.nan, math.nan, 1e-6, 1e-3))


def test_weights_on_a_kink_are_tested_beside_it():
    m = mean(nn.ReLU())
    with torch.no_grad():
        for p in m.model[0].parameters():
            p.zero_()  # every unit is at exactly 0
    difference, rounding = by_differences(m, "hessian", *data(), forward=True)
    assert difference < 1e-6
    assert rounding < 1e-4


def test_the_least_precision_decides_what_two_ways_may_differ_by():
    coarse, fine = torch.ones(1), torch.ones(1, dtype=torch.float64)
    assert tolerance([coarse, fine]) == tolerance([fine, coarse]) == tolerance([coarse])
    assert tolerance([fine]) < 1e-4 * tolerance([coarse])
