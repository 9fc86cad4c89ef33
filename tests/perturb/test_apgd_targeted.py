import pytest
import torch
from tests.perturb.victim import BALLS, MODEL, X, Y
from torch import nn

from wellposed.errors import ArgumentError
from wellposed.perturb import APGD, Game, Linf, Rows, TargetedAPGD

X, Y = X[:80], Y[:80]


@pytest.mark.parametrize("norm", BALLS)
def test_agrees_with_pyautoattack(norm):
    base = pytest.importorskip("pyautoattack.autopgd_base")
    ball = BALLS[norm]
    theirs = base.APGDAttack_targeted(
        MODEL, n_iter=15, norm=norm, eps=ball.eps, seed=0, device="cpu", use_largereps=norm == "L1"
    )
    examples = theirs.perturb(X, Y)
    broken = MODEL(examples).argmax(1) != Y
    found = TargetedAPGD(15)(MODEL, X, Y, ball)
    assert 10 < broken.sum() < 70
    assert (broken ^ found.broken).sum() <= 2  # the random starts differ


def test_takes_the_wrong_classes_in_the_order_of_their_logits():
    class Ranked(nn.Module):
        def forward(self, x):
            return torch.tensor([3.0, 9.0, 5.0, 4.0, 1.0]) + 0.1 * x.sum(1, keepdim=True)

    clean = Ranked()(torch.zeros(1, 2))
    zeros = torch.zeros(1, dtype=torch.int64)
    targets = []
    for turn in range(4):
        columns = {
            "index": zeros,
            "center": torch.zeros(1, 2),
            "labels": zeros + 1,
            "clean": clean,
            "clock": zeros - 1,
            "round": zeros + turn,
            "margin": torch.ones(1),
            "broken": zeros > 0,
        }
        rows = Rows(Game(Ranked(), Linf(0.1), (0.0, 1.0), 0, 6), columns)
        TargetedAPGD(5).start(rows)
        targets.append(int(rows.state["target"]))
    assert targets == [2, 3, 0, 4]


def test_finds_what_one_climb_misses():
    one = APGD(15)(MODEL, X, Y, BALLS["Linf"])
    many = TargetedAPGD(15)(MODEL, X, Y, BALLS["Linf"])
    assert many.accuracy <= one.accuracy
    assert many.gradients[~many.broken].eq(9 * 15).all()
    assert many.gradients[many.broken].min() < 15


def test_few_classes_are_no_trouble():
    torch.manual_seed(0)
    x = torch.rand(30, 5)
    for classes in (1, 2, 3):
        model = nn.Linear(5, classes)
        z = model(x)
        y = (z[:, 0] > 0).long() if classes == 1 else z.argmax(1)
        found = TargetedAPGD(10)(model, x, y, Linf(0.3))
        assert found.broken.any()
        wrong = max(classes, 2) - 1
        assert found.gradients[~found.broken].eq(10 * wrong).all()


@pytest.mark.parametrize("change", [{"steps": 0}, {"targets": 0}])
def test_refuses_what_is_no_attack(change):
    with pytest.raises(ArgumentError, match="TargetedAPGD needs at least 1"):
        TargetedAPGD(**change)
