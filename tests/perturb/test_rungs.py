import pytest
import torch
from tests.perturb.masked import Saturated
from tests.perturb.victim import MODEL, X, Y

from wellposed.errors import ArgumentError, UnknownNameError
from wellposed.perturb import (
    APGD,
    FAB,
    FGSM,
    L1,
    L2,
    LADDERS,
    Linf,
    RandomSearch,
    Rung,
    Square,
    ladder,
)
from wellposed.perturb._objective import CrossEntropy
from wellposed.perturb._rungs import fallback, rungs_of


def test_autoattack_is_the_protocol():
    for ball in (Linf(0.1), L2(0.1), L1(0.1)):
        first, second, third, fourth = (rung.attack for rung in LADDERS["autoattack"](ball))
        sparse = ball.norm == "l1"
        assert first == APGD(100, CrossEntropy(), restarts=5 if sparse else 1)
        assert (second.steps, second.targets) == (100, 5 if sparse else 9)
        assert third == FAB(100, targets=9)
        assert fourth == Square(5000, share=0.8, rescaled=False)
        assert all(rung.share == 1 for rung in LADDERS["autoattack"](ball))


def test_the_fallback_searches_images_by_squares_and_vectors_by_coordinates():
    kinds = [type(fallback(Linf(0.1), images=flag)[-1].attack) for flag in (True, False)]
    assert kinds == [Square, RandomSearch]


def test_in_float64_a_saturated_network_has_a_slope_again():
    model, some = Saturated(MODEL), (X[:40], Y[:40], Linf(0.08))
    plain = ladder(model, *some, budget=[Rung(APGD(20))], doubts=False)
    double = ladder(model, *some, budget=[Rung(APGD(20), double=True)], doubts=False)
    assert plain.attacked[0].accuracy > 0.9
    found = double.attacked[0]
    assert found.accuracy < 0.8
    assert found.examples.dtype == torch.float32
    assert ((model(found.examples).argmax(1) != Y[:40]) == found.broken).all()


def test_a_model_without_float64_is_left_out():
    class Stiff(torch.nn.Module):
        def forward(self, x):
            return MODEL(x.float()) if x.dtype == torch.float32 else 1 / 0

    some = (X[:5], Y[:5], Linf(0.01))
    found = ladder(Stiff(), *some, budget=[Rung(FGSM(), double=True), Rung(FGSM())], doubts=False)
    assert [part.attack for part in found.spent] == ["FGSM Margin"]


def test_names_and_shares_that_do_not_exist_are_refused():
    with pytest.raises(UnknownNameError, match="no budget is called 'ful'"):
        rungs_of("ful", Linf(0.1))
    with pytest.raises(ArgumentError, match="share in"):
        Rung(FGSM(), 0)
    with pytest.raises(ArgumentError, match="at least one rung"):
        rungs_of([], Linf(0.1))
