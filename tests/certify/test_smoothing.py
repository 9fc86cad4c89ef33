import math

import pytest
import torch
from scipy.stats import beta, norm
from torch import nn

from wellposed.certify import ABSTAINS, smoothing
from wellposed.errors import ArgumentError


def half_space(direction, offset, *, single=False):
    """A linear classifier in the plane: the second class lies along the direction."""
    layer = nn.Linear(2, 1 if single else 2)
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[-1] = torch.tensor(direction)
        layer.bias.zero_()
        layer.bias[-1] = -offset
    return layer


@pytest.mark.parametrize("single", [False, True])
def test_a_half_space_is_certified_up_to_its_border(single):
    """The smoothed classifier is the classifier itself, and the radius below the distance."""
    model = half_space([0.6, 0.8], 0.0, single=single)
    x = torch.tensor([[0.3, 0.4], [-0.6, -0.8]])
    found = smoothing(model, x, 0.5, draws=4000)
    assert found.label.tolist() == [1, 0]
    distance = torch.tensor([0.5, 1.0], dtype=torch.float64)
    assert (found.radius <= distance).all()
    assert (found.radius >= distance - 0.12).all()
    assert found.forwards == 2 * 4100


def test_the_radius_is_that_of_the_paper():
    """All draws agree: the lower limit is alpha^(1/n)."""
    found = smoothing(half_space([1.0, 0.0], -100.0), torch.zeros(1, 2), 0.25, draws=1000)
    share = 0.001 ** (1 / 1000)
    assert found.share.item() == pytest.approx(share, rel=1e-9)
    assert found.share.item() == pytest.approx(beta.ppf(0.001, 1000, 1), rel=1e-9)
    assert found.radius.item() == pytest.approx(0.25 * norm.ppf(share), rel=1e-9)


def test_at_the_border_it_abstains():
    found = smoothing(half_space([1.0, 0.0], 0.0), torch.zeros(3, 2), 0.5, draws=1000)
    assert found.label.tolist() == [ABSTAINS] * 3
    assert found.radius.tolist() == [0.0] * 3


@pytest.mark.simulation
def test_the_lower_limit_covers_at_least_at_its_level():
    offset, sigma = 0.3, 1.0
    right = norm.cdf(offset / sigma)
    x = torch.tensor([[offset, 0.0]]).expand(300, 2)
    found = smoothing(half_space([1.0, 0.0], 0.0), x, sigma, draws=100, level=0.9)
    missed = (found.share > right).double().mean().item()
    assert missed <= 0.1 + 3 * math.sqrt(0.1 * 0.9 / 300)


def test_the_seed_decides():
    model = half_space([1.0, 0.5], 0.1)
    x = torch.rand((3, 2), generator=torch.Generator().manual_seed(0))
    state = torch.get_rng_state()
    found = [smoothing(model, x, 0.5, draws=200, seed=seed).share for seed in (0, 0, 1)]
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


class Nothing(nn.Module):
    def forward(self, x):
        return x * torch.nan


def test_what_is_not_a_number_votes_for_none_and_modes_come_back():
    model = nn.Sequential(nn.Dropout(), Nothing()).train()
    found = smoothing(model, torch.zeros(1, 3), 0.5, draws=100)
    assert found.label.tolist() == [ABSTAINS]
    assert found.share.tolist() == [0.0]
    assert all(module.training for module in model.modules())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sigma": 0.0}, "a standard deviation above 0, got sigma=0.0"),
        ({"draws": 0}, "at least one draw"),
        ({"batch": 0}, "at least one input makes a batch"),
        ({"level": 0.5}, "between 1/2 and 1"),
    ],
)
def test_refusals(change, message):
    with pytest.raises(ArgumentError, match=message):
        smoothing(nn.Linear(2, 2), torch.zeros(1, 2), **({"sigma": 0.5} | change))
