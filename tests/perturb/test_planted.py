import pytest
import torch
from tests.perturb.masked import Quantized, Saturated
from tests.perturb.victim import BALLS, MODEL, X, Y
from torch import nn

from wellposed.errors import ArgumentError
from wellposed.perturb import APGD, FGSM, Linf, Planted, RandomSearch, planted
from wellposed.perturb._planted import _twin

SOME = X[:12], Y[:12]


@pytest.mark.parametrize("norm", BALLS)
def test_an_attack_that_works_finds_what_is_planted(norm):
    found = planted(MODEL, *SOME, BALLS[norm], [APGD(10), APGD(50)])
    assert found.planted >= 8
    assert found.share >= 0.9
    assert found.gradients > 0 < found.forwards


@pytest.mark.parametrize("mask", [Quantized, Saturated])
def test_an_attack_that_is_blind_does_not(mask):
    found = planted(mask(MODEL), *SOME, Linf(0.08), [APGD(10)])
    assert found.planted >= 8
    assert found.share < 0.7


def test_the_twin_is_right_around_the_example_and_breaks_in_the_ball():
    ball, x, y = Linf(0.08), X[:1], Y[:1]
    draws = torch.Generator().manual_seed(0)
    twin = _twin(MODEL, "2", x, y, ball, (0.0, 1.0), draws)
    again = torch.Generator().manual_seed(0)
    inner = ball.random(x.expand(200, 64), (0.0, 1.0), again)
    noise = torch.randn(x.shape, generator=again, dtype=torch.float64)
    point = ball.project(x.double() + 4 * ball.eps * noise.sign(), x)
    assert (twin(inner).argmax(1) == y).all()
    assert twin(x).argmax(1) == y
    assert twin(point).argmax(1) != y
    assert (twin[0].weight == MODEL[0].weight).all()
    own, other = (m(x).detach().sort(1).values for m in (MODEL, twin))
    assert float(other[0, -1] - other[0, -2]) == pytest.approx(float(own[0, -1] - own[0, -2]), 1e-3)


def test_random_points_alone_do_not_find_it():
    found = planted(MODEL, *SOME, Linf(0.08), [RandomSearch(1)])
    assert found.share < 0.5


def test_two_classes_by_one_logit():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1))
    labels = (model(SOME[0])[:, 0] > 0).long()
    found = planted(model, SOME[0], labels, Linf(0.05), [APGD(20)])
    assert found.planted >= 8
    assert found.share >= 0.9


def test_what_has_no_such_layer_is_refused():
    with pytest.raises(ArgumentError, match="no linear layer at its end"):
        planted(nn.Sequential(nn.Linear(64, 10), Head()), *SOME, Linf(0.1), [FGSM()])
    assert Planted(3, 0, 0, 0, 0).share is None


class Head(nn.Module):
    """Two of the logits."""

    def forward(self, x):
        return x[:, :2]


def test_a_model_that_is_noise_has_no_provable_twin():
    class Noise(nn.Module):
        def __init__(self):
            super().__init__()
            self.last = nn.Linear(8, 10)

        def forward(self, x):
            return self.last(torch.randn(len(x), 8))

    found = planted(Noise(), *SOME, Linf(0.1), [FGSM()])
    assert found.planted < 12
