import math

import pytest
import torch
from tests.perturb.victim import BALLS, MODEL, X, Y
from torch import nn

from wellposed.errors import ArgumentError
from wellposed.perturb import APGD, FAB, FMN, Pool, break_distances

DUALS = {"Linf": 1, "L2": 2, "L1": torch.inf}
norms = pytest.mark.parametrize("norm", BALLS)


def distances(norm, attack, model, x, y, **more):
    ball = BALLS[norm].resized(torch.inf)
    return break_distances(attack(model, x, y, ball, **more), x, ball)


@norms
def test_reaches_the_exact_distances_of_a_linear_model(norm):
    torch.manual_seed(1)
    model = nn.Linear(12, 2).double()
    x = torch.rand(60, 12).double()
    logits = model(x).detach()
    y = logits.argmax(1)
    slope = model.weight.detach()[y].unsqueeze(1) - model.weight.detach()
    size = torch.linalg.vector_norm(slope, DUALS[norm], dim=2)
    lead = logits.gather(1, y.unsqueeze(1)) - logits
    exact = torch.where(size > 0, lead / size, torch.inf).min(1).values
    found = distances(norm, FMN(100), model, x, y, bounds=(-50.0, 50.0))
    assert (found >= exact * (1 - 1e-9)).all()
    assert (found <= exact * 1.01).all()


@norms
def test_is_about_as_near_as_foolbox(norm):
    foolbox = pytest.importorskip("foolbox")
    x, y = X[:60], Y[:60]
    fmodel = foolbox.PyTorchModel(MODEL.eval(), bounds=(0, 1))
    # theirs does not project in the L2 norm: the decoupled direction and norm attack instead
    names = {"Linf": "LInfFMNAttack", "L2": "DDNAttack", "L1": "L1FMNAttack"}
    theirs = getattr(foolbox.attacks, names[norm])(steps=50)
    _, points, success = theirs(fmodel, x, y, epsilons=None)
    assert success.double().mean() > 0.4
    away = torch.where(success, BALLS[norm].distance(points, x), torch.inf)
    ours = distances(norm, FMN(50), MODEL, x, y)
    assert (ours / away).median() < 1.01
    assert (ours < 1.1 * away).double().mean() > 0.9


@norms
def test_agrees_with_fab_and_with_apgd(norm):
    x, y, ball = X[:60], Y[:60], BALLS[norm]
    near = distances(norm, FMN(100), MODEL, x, y)
    far = distances(norm, FAB(30, smallest=True), MODEL, x, y)
    assert 0.9 < (near / far).median() < 1.02
    strong = APGD(40)(MODEL, x, y, ball)
    assert ((near <= ball.eps) ^ strong.broken).sum() <= 5


@norms
def test_what_it_returns_is_inside_and_breaks(norm):
    x, y, ball = X[:50], Y[:50], BALLS[norm]
    found = FMN(30)(MODEL, x, y, ball)
    assert (ball.distance(found.examples, x) <= ball.eps).all()
    assert ((found.examples >= 0) & (found.examples <= 1)).all()
    logits = MODEL(found.examples)
    lead = logits.gather(1, y.unsqueeze(1)).squeeze(1)
    lead = lead - logits.scatter(1, y.unsqueeze(1), -math.inf).max(1).values
    assert (lead[found.broken] <= 1e-5).all()  # at the boundary, but for another batch's rounding
    assert found.gradients.eq(30).all()
    assert found.forwards[~found.broken].eq(2).all()
    assert found.forwards[found.broken].min() >= 3
    free = distances(norm, FMN(30), MODEL, x, y)
    assert (found.broken ^ (free <= ball.eps)).sum() <= 4
    assert 0 < found.accuracy < 1


def test_brute_force_in_the_plane():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 20), nn.Tanh(), nn.Linear(20, 3)).double()
    with torch.no_grad():
        model[0].weight *= 4
    x = torch.rand(30, 2).double()
    y = model(x).argmax(1)
    side = torch.linspace(0, 1, 201).double()
    grid = torch.cartesian_prod(side, side)
    with torch.no_grad():
        classes = model(grid).argmax(1)
    for norm, ball in BALLS.items():
        found = distances(norm, FMN(80), model, x, y)
        best = []
        for i in range(30):
            others = grid[classes != y[i]]
            best.append(float(ball.distance(others, x[i : i + 1].expand_as(others)).min()))
        best = torch.tensor(best).double()
        assert (found >= best - 0.01).all()
        assert (found <= 1.1 * best + 2e-3).double().mean() > 0.85


def test_a_start_that_breaks_is_a_start():
    x, y = X[:30], Y[:30]
    begin = APGD(30)(MODEL, x, y, BALLS["L2"].resized(2.0)).examples
    ball = BALLS["L2"].resized(torch.inf)
    found = FMN(100)(MODEL, x, y, ball, begin=begin)
    assert found.broken.all()
    near = break_distances(found, x, ball)
    assert (near <= ball.distance(begin, x) + 1e-9).all()
    assert near.median() < 1.1 * distances("L2", FMN(100), MODEL, x, y).median()


@norms
def test_other_bounds_and_larger_inputs(norm):
    plain = distances(norm, FMN(40), MODEL, X[:30], Y[:30])

    class Rescaled(nn.Module):
        def forward(self, x):
            return MODEL((x + 20) / 40)

    scaled = distances(
        norm,
        FMN(40, step_size=40.0),
        Rescaled(),
        40 * X[:30] - 20,
        Y[:30],
        bounds=(-20.0, torch.full((64,), 20.0)),
    )
    assert 0.97 < (scaled / (40 * plain)).median() < 1.03


def test_ties_nan_and_vanishing_gradients_do_no_harm():
    class Faulty(nn.Module):
        def forward(self, x):
            lead = torch.where(x[:, 0] > 0.8, math.nan, 1.0) * (x[:, 0] > 0.2) + 0 * x[:, 0]
            return torch.stack([lead, torch.zeros(len(x)), torch.zeros(len(x))], 1)

    x, y = torch.tensor([[0.9], [0.1], [0.5]]), torch.zeros(3).long()
    assert distances("Linf", FMN(5), Faulty(), x, y).tolist() == [0.0, 0.0, math.inf]


def test_neither_batch_size_nor_company_change_a_result():
    x, y = X[:40], Y[:40]
    whole = distances("L2", FMN(15), MODEL, x, y)
    small = distances("L2", FMN(15), MODEL, x, y, pool=Pool(batch=7))
    torch.testing.assert_close(whole, small, rtol=1e-2, atol=0)
    assert torch.equal(whole, distances("L2", FMN(15), MODEL, x, y))


@pytest.mark.parametrize("change", [{"steps": 0}, {"step_size": 0.0}, {"gamma": 1.0}])
def test_refuses_what_is_no_attack(change):
    with pytest.raises(ArgumentError, match="FMN needs"):
        FMN(**change)
