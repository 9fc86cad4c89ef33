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


class Blocks(nn.Module):
    """Class 0 leads class k by lead[k] - slope times the mean of the k-th block of 20 inputs."""

    def __init__(self, lead, slope):
        super().__init__()
        self.lead, self.slope = torch.tensor(lead), slope

    def forward(self, x):
        behind = self.slope * x.unflatten(1, (-1, 20)).mean(2) - self.lead
        return torch.cat([torch.zeros_like(behind[:, :1]), behind], 1)


def test_a_race_gives_up_the_targets_that_are_behind():
    x, y = torch.zeros(4, 80), torch.zeros(4, dtype=torch.int64)
    model, ball = Blocks([1.0, 2.0, 3.0, 4.0], 8.0), Linf(0.1)  # margins 0.2, 1.2, 2.2, 3.2 in it
    found = TargetedAPGD(50, targets=4, race=True)(model, x, y, ball, bounds=(-1, 1))
    assert found.gradients.tolist() == [50 + 3 * 12] * 4  # the first checkpoint is at 11
    assert found.margin.tolist() == pytest.approx([0.2] * 4, abs=1e-5)
    patient = TargetedAPGD(50, targets=4)(model, x, y, ball, bounds=(-1, 1))
    assert patient.gradients.tolist() == [200] * 4


def test_a_race_goes_on_with_targets_that_come_near():
    x, y = torch.zeros(4, 80), torch.zeros(4, dtype=torch.int64)
    model, ball = Blocks([1.0, 1.05, 1.05, 3.0], 8.0), Linf(0.1)  # margins 0.2, 0.25, 0.25, 2.2
    found = TargetedAPGD(50, targets=4, race=True)(model, x, y, ball, bounds=(-1, 1))
    assert found.gradients.tolist() == [3 * 50 + 12] * 4


def test_a_race_breaks_the_same_examples_for_less():
    ball = BALLS["Linf"]
    patient = TargetedAPGD(30)(MODEL, X, Y, ball)
    race = TargetedAPGD(30, race=True)(MODEL, X, Y, ball)
    assert race.broken.equal(patient.broken)
    assert race.gradients.sum() < 0.5 * patient.gradients.sum()
    assert (race.gradients <= patient.gradients).all()


def test_there_is_no_race_where_climbs_begin_outside_of_the_ball():
    plain = TargetedAPGD(15, targets=3)(MODEL, X, Y, BALLS["L1"])
    race = TargetedAPGD(15, targets=3, race=True)(MODEL, X, Y, BALLS["L1"])
    assert race.examples.equal(plain.examples)
    assert race.gradients.equal(plain.gradients)


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
