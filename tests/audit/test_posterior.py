import math

import pytest
import torch
from scipy.optimize import minimize
from torch import nn
from torch.nn.functional import cross_entropy

from wellposed.audit._posterior import GRID, posterior, sensitivity, trained
from wellposed.losses import CrossEntropy


def test_the_diagonal_is_that_of_the_gradients_of_batches(net, blobs):
    model, (inputs, targets) = net(), blobs(45)
    found = sensitivity(model, CrossEntropy(), inputs, targets, 10)
    right = []
    for x, y in zip(inputs.split(10), targets.split(10), strict=True):
        grads = torch.autograd.grad(cross_entropy(model(x), y), list(model.parameters()))
        right.append(len(x) * torch.cat([g.flatten() for g in grads]).square())
    torch.testing.assert_close(found, torch.stack(right).mean(0))


def test_an_unused_parameter_is_felt_by_nobody(net, blobs):
    model = net()
    model.extra = nn.Parameter(torch.ones(3))
    model.forward = lambda x: nn.Sequential.forward(nn.Sequential(*list(model)), x)
    assert (sensitivity(model, CrossEntropy(), *blobs(30)) == 0).sum() == 3


def test_the_noise_minimizes_loss_and_complexity():
    # min over s and lambda of n/2 sum F s^2 + KL(N(w, s^2) || N(c, lambda^2)), by a search
    fisher = torch.tensor([3.0, 0.1, 0.5])
    mean, center = torch.tensor([1.0, -0.3, 0.4]), torch.tensor([0.2, 0.0, 0.1])
    found = posterior(mean, center, fisher, [3], 50, 1.0)

    def objective(v):
        s2, prior = torch.tensor(v[:3]).exp(), math.exp(v[3])
        away = (mean - center).double() ** 2
        kl = 0.5 * ((s2 + away) / prior - 1 - (s2 / prior).log()).sum()
        return float(25 * (fisher.double() * s2).sum() + kl)

    best = minimize(objective, [0.0, 0.0, 0.0, 0.0], method="Nelder-Mead", options={
        "xatol": 1e-8, "fatol": 1e-12, "maxiter": 20_000,
    })  # fmt: skip
    torch.testing.assert_close(
        found.sd.double(), torch.tensor(best.x[:3] / 2).exp(), rtol=0.01, atol=0
    )
    assert found.prior_sd[0] == pytest.approx(math.exp(best.x[3] / 2), rel=0.01)
    kl = best.fun - 25 * float((fisher.double() * torch.tensor(best.x[:3]).exp()).sum())
    assert found.complexity == pytest.approx(kl + math.log(1000), abs=1e-3)


def test_the_prior_is_on_its_grid_and_each_group_has_its_own():
    mean = torch.cat([torch.full((5,), 0.01), torch.full((7,), 10.0)])
    found = posterior(mean, torch.zeros(12), torch.ones(12), [5, 7], 1000, 1.0)
    assert all(min(abs(GRID - sd)) < 1e-15 for sd in found.prior_sd)
    assert found.prior_sd[0] < 0.1 < found.prior_sd[1]
    wider = posterior(mean, torch.zeros(12), torch.ones(12), [5, 7], 1000, 16.0)
    assert (wider.sd > found.sd).all()
    assert wider.complexity < found.complexity


def test_a_posterior_that_is_the_prior_costs_only_the_choice():
    # Nothing moved and nothing is felt: KL = 0 at any width.
    found = posterior(torch.ones(4), torch.ones(4), torch.zeros(4), [4], 10, 1.0)
    assert found.complexity == pytest.approx(math.log(1000))


def test_draws_have_their_mean_and_deviation(net):
    model = net()
    model[0].bias.requires_grad_(False)
    frozen = model[0].bias.detach().clone()
    count = sum(p.numel() for p in trained(model))
    made = posterior(torch.ones(count), torch.zeros(count), torch.ones(count), [count], 100, 1.0)
    source = torch.Generator().manual_seed(0)
    drawn = torch.stack(
        [torch.cat([p.flatten() for p in trained(m)]) for m in made.draws(model, 2000, source)]
    )
    assert drawn.mean().item() == pytest.approx(1, abs=1e-3)
    torch.testing.assert_close(drawn.std(0), made.sd, rtol=0.07, atol=0)
    assert torch.equal(model[0].bias, frozen)
