import pytest
import torch
from tests.perturb.masked import MASKS, Loud, Noisy, Quantized
from tests.perturb.victim import BALLS, MODEL, X, Y
from torch import nn

from wellposed.perturb import APGD, FGSM, L2, PGD, CrossEntropy, Linf, suspicions

SOME = X[:60], Y[:60]
HALF = {"Linf": Linf(0.08), "L2": L2(0.5)}


def doubted(model, attack, ball=HALF["Linf"], smaller=None, **given):
    found = attack(model, *SOME, ball)
    return suspicions(model, *SOME, ball, found, smaller, **given)


@pytest.mark.parametrize("norm", HALF)
def test_an_honest_network_and_a_strong_attack_raise_nothing(norm):
    smaller = APGD(30)(MODEL, *SOME, HALF[norm].resized(HALF[norm].eps / 2))
    found, known = doubted(MODEL, APGD(30), HALF[norm], smaller)
    assert found.raised == ()
    assert found.to_dict()["raised"] == []
    assert found.unbounded_accuracy == 0
    assert found.examples == int((~known.broken).sum()) > 10
    assert found.gradients > 0 < found.forwards


RAISED = {
    "cold": "zero_gradient",
    "loud": "blind_entropy",
    "quantized": "zero_gradient",
    "saturated": "zero_gradient",
    "noisy": "stochastic",
}


@pytest.mark.parametrize("mask", MASKS)
def test_every_mask_raises_its_flag(mask):
    found, _ = doubted(MASKS[mask](MODEL), APGD(10))
    assert RAISED[mask] in found.raised


def test_a_blinded_attack_is_beaten_by_cheaper_ones():
    found, known = doubted(Loud(MODEL), PGD(20, objective=CrossEntropy()))
    assert found.blind_entropy == 1
    assert {"one_step_gain", "scale_gain", "blackbox_gain", "longer_gain"} <= set(found.raised)
    assert known.accuracy < 0.7
    assert ((MODEL(known.examples).argmax(1) != SOME[1]) >= known.broken).all()


def test_an_attack_that_stops_early_would_have_gone_on():
    found, _ = doubted(MODEL, PGD(3, step_size=0.01, random=False))
    assert "longer_gain" in found.raised


def test_a_network_without_slopes_is_not_broken_by_any_radius():
    found, _ = doubted(Quantized(MODEL, levels=4), APGD(10))
    assert found.unbounded_accuracy > 0.05
    assert "unbounded_accuracy" in found.raised


def test_an_attack_that_finds_less_in_a_larger_ball():
    small, ball = Linf(0.04), Linf(0.08)
    broken = PGD(20)(MODEL, *SOME, small)
    blind = Quantized(MODEL)
    found, _ = suspicions(blind, *SOME, ball, FGSM()(blind, *SOME, ball), broken)
    assert found.non_monotone > 0.5
    assert "non_monotone" in found.raised


def test_one_example_on_the_boundary_is_no_gain():
    model = nn.Linear(2, 2)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 0.0]]))
        model.bias.copy_(torch.tensor([-0.5, 0.0]))
    x = torch.tensor([[0.55, 0.5], [0.9, 0.5], [0.95, 0.5]])
    labels = torch.zeros(3, dtype=torch.int64)
    nothing = FGSM()(model, x, labels, Linf(0.0))
    found, known = suspicions(model, x, labels, Linf(0.1), nothing)
    assert found.raised == ()
    assert known.broken.tolist() == [True, False, False]


def test_where_nothing_is_left_there_is_nothing_to_suspect():
    ball = Linf(0.5)
    found, known = suspicions(MODEL, *SOME, ball, APGD(30)(MODEL, *SOME, ball))
    assert found.examples == 0
    assert found.raised == ()
    assert known.accuracy == 0


def test_the_model_is_left_as_it_was():
    model = Noisy(MODEL).train()
    torch.manual_seed(3)
    before = torch.get_rng_state()
    doubted(model, FGSM(), BALLS["Linf"], examples=5, queries=5)
    assert (torch.get_rng_state() == before).all()
    assert model.training
