import pytest
import torch
from torch import nn
from torch.nn import functional

from wellposed.certify import certify
from wellposed.data import Digits, load
from wellposed.errors import ArgumentError
from wellposed.perturb import Linf
from wellposed.regularizers import AdversarialTraining, IntervalBounds


def test_of_logistic_regression_the_bound_is_the_worst_loss():
    torch.manual_seed(0)
    model, inputs, targets = nn.Linear(6, 2), torch.rand(7, 6), torch.arange(7) % 2
    bound = IntervalBounds(0.2, weight=1.0).objective(model, inputs, targets)
    worst = AdversarialTraining(0.2, step=0.2, init="zero").objective(model, inputs, targets)
    torch.testing.assert_close(bound, worst)


def test_it_bounds_the_loss_that_an_adversary_finds():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))
    inputs, targets = torch.rand(9, 6), torch.arange(9) % 3
    bound = IntervalBounds(0.1, weight=1.0).objective(model, inputs, targets)
    found = AdversarialTraining(0.1, steps=20).objective(model, inputs, targets)
    assert found < bound
    mixed = IntervalBounds(0.1, weight=0.25).objective(model, inputs, targets)
    clean = functional.cross_entropy(model(inputs), targets)
    torch.testing.assert_close(mixed, 0.75 * clean + 0.25 * bound)


def test_training_by_it_makes_digits_provable():
    data = load(Digits(), seed=0, standardize=False)
    inputs, targets = data.train.take(torch.arange(600))
    proven = {}
    for name, term in {"plain": IntervalBounds(0.05, 0.0), "bounds": IntervalBounds(0.05)}.items():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        for _ in range(80):
            optimizer.zero_grad()
            term.objective(model, inputs, targets).backward()
            optimizer.step()
        test = data.test.take(torch.arange(200))
        found = certify(model, *test, Linf(0.05), method="ibp")
        proven[name] = found.certified.float().mean().item()
    assert proven["bounds"] > proven["plain"] + 0.2


@pytest.mark.wrong_types
def test_what_is_outside_its_range_is_refused():
    with pytest.raises(ArgumentError, match="radius eps > 0"):
        IntervalBounds(0.0)
    with pytest.raises(ArgumentError, match="weight from 0 to 1"):
        IntervalBounds(0.1, weight=2.0)
    with pytest.raises(ArgumentError, match=r"shape \(batch, classes\)"):
        IntervalBounds(0.1).objective(
            nn.Flatten(0), torch.rand(4, 6), torch.zeros(24), lambda f, y: (f - y).square()
        )


def test_inputs_outside_the_bounds_are_refused():
    inputs, targets = torch.rand(6, 5) - 2, torch.arange(6) % 3
    with pytest.raises(ArgumentError, match="put standardize = false"):
        IntervalBounds(0.1).penalty(nn.Linear(5, 3), inputs, targets)
