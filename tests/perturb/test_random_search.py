import pytest
import torch
from tests.perturb.masked import Quantized
from tests.perturb.victim import BALLS, MODEL, X, Y
from torch import nn

from wellposed.errors import ArgumentError
from wellposed.perturb import L1, L2, PGD, Linf, Pool, RandomSearch


@pytest.mark.parametrize("norm", BALLS)
def test_it_finds_without_a_gradient_most_of_what_gradients_find(norm):
    ball = BALLS[norm]
    slopes = PGD(20)(MODEL, X[:50], Y[:50], ball)
    found = RandomSearch(300)(MODEL, X[:50], Y[:50], ball)
    assert found.accuracy <= slopes.accuracy + 0.3
    assert found.accuracy < 0.8
    assert int(found.gradients.sum()) == 0
    assert (ball.distance(found.examples, X[:50]) <= ball.eps).all()
    assert ((MODEL(found.examples).argmax(1) != Y[:50]) == found.broken).all()


def test_it_breaks_what_has_no_gradient():
    model = Quantized(MODEL)
    assert PGD(20)(model, X[:50], Y[:50], Linf(0.1)).accuracy > 0.9
    assert RandomSearch(300)(model, X[:50], Y[:50], Linf(0.1)).accuracy < 0.75


def test_a_linear_model_in_few_dimensions_is_solved():
    model = nn.Linear(3, 1)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1.0, -2.0, 0.5]]))
        model.bias.fill_(0.25)
    x = 0.3 + 0.4 * torch.rand(200, 3, generator=torch.Generator().manual_seed(0))
    y = (model(x)[:, 0] > 0).long()
    lead = model(x)[:, 0].abs().double()
    for ball, reach in ((Linf(0.1), 3.5), (L2(0.1), 5.25**0.5), (L1(0.1), 2.0)):
        found = RandomSearch(400)(model, x, y, ball)
        surely = lead < 0.95 * 0.1 * reach
        assert found.broken[surely].all()
        assert not found.broken[lead > 1.0001 * 0.1 * reach].any()


def test_it_drifts_across_a_plateau():
    class Step(nn.Module):
        def forward(self, x):
            broken = (x > 0.55).sum(1) >= 7  # of 8 coordinates: hardly any random corner
            return torch.stack([(~broken).float(), broken.float()], 1)

    x = torch.full((20, 8), 0.5)
    found = RandomSearch(500)(Step(), x, torch.zeros(20, dtype=torch.int64), Linf(0.1))
    assert found.accuracy < 0.2


def test_the_batch_changes_nothing():
    ways = [RandomSearch(30)(MODEL, X[:20], Y[:20], L2(0.5), pool=Pool(b)) for b in (7, 20)]
    assert torch.allclose(ways[0].margin, ways[1].margin, atol=1e-5)


@pytest.mark.parametrize("changed", [{"queries": 0}, {"restarts": 0}])
def test_refuses(changed):
    with pytest.raises(ArgumentError, match="RandomSearch needs"):
        RandomSearch(**changed)
    with pytest.raises(ArgumentError, match="finite radius"):
        RandomSearch()(MODEL, X, Y, Linf(float("inf")))
