import math

import pytest
import torch
from tests.perturb.victim import BALLS, MODEL, X, Y
from torch import nn

from wellposed.errors import ArgumentError
from wellposed.perturb import APGD, FAB, Pool
from wellposed.perturb._hyperplane import onto_hyperplane

DUALS = {"Linf": 1, "L2": 2, "L1": torch.inf}
norms = pytest.mark.parametrize("norm", BALLS)


def nearest(norm, attack, model, x, y, **more):
    """The distances of the nearest points that an attack finds, and the points."""
    ball = BALLS[norm].resized(torch.inf)
    found = attack(model, x, y, ball, **more)
    distances = ball.distance(found.examples, x)
    return torch.where(found.broken, distances, torch.inf), found


def linear(classes=5):
    torch.manual_seed(1)
    model = nn.Linear(12, classes).double()
    x = torch.rand(60, 12).double()
    logits = model(x).detach()
    y = logits.argmax(1)
    weight = model.weight.detach()
    return model, x, y, logits.gather(1, y.unsqueeze(1)) - logits, weight[y].unsqueeze(1) - weight


@norms
def test_reaches_the_exact_distances_of_a_linear_model(norm):
    model, x, y, lead, slope = linear()
    size = torch.linalg.vector_norm(slope, DUALS[norm], dim=2)
    exact = torch.where(size > 0, lead / size, torch.inf).min(1).values
    distances, _ = nearest(norm, FAB(30, smallest=True), model, x, y, bounds=(-50.0, 50.0))
    assert (distances >= exact * (1 - 1e-9)).all()
    assert (distances <= exact * 1.006 + 1e-9).all()  # eta and beta leave half a percent


@norms
def test_reaches_them_within_bounds_too(norm):
    model, x, y, lead, slope = linear()
    exact = torch.full((60,), torch.inf).double()
    order = {"Linf": torch.inf, "L2": 2, "L1": 1}[norm]
    for j in range(5):
        gap = lead[:, j]
        move = onto_hyperplane(norm.lower(), -slope[:, j], gap, -x, 1 - x)
        reaches = (y != j) & ((-slope[:, j] * move).sum(1) >= gap * (1 - 1e-9))
        length = torch.linalg.vector_norm(move, order, dim=1)
        exact = torch.where(reaches, torch.minimum(exact, length), exact)
    distances, found = nearest(norm, FAB(60, smallest=True), model, x, y)
    assert torch.equal(found.broken, exact < torch.inf)
    assert ((found.examples >= 0) & (found.examples <= 1)).all()
    held = found.broken
    assert held.sum() > 40
    assert (distances[held] >= exact[held] * (1 - 1e-9)).all()
    assert (distances[held] <= exact[held] * 1.01).double().mean() > 0.9


@norms
def test_agrees_with_pyautoattack(norm):
    base = pytest.importorskip("pyautoattack.fab_pt")
    x, y = X[:60], Y[:60]
    theirs = base.FABAttack_PT(MODEL, norm=norm, n_iter=20, targeted=True, device="cpu")
    least = torch.full((60,), torch.inf).double()
    for target in range(2, 6):
        theirs.target_class = target
        points = theirs.attack_single_run(x, y, is_targeted=True)
        away = BALLS[norm].distance(points, x)
        broken = MODEL(points).argmax(1) != y
        least = torch.where(broken, torch.minimum(least, away), least)
    distances, found = nearest(norm, FAB(20, targets=4, smallest=True), MODEL, x, y)
    assert torch.equal(found.broken, least < torch.inf)
    ratio = distances / least
    assert 0.999 < ratio.median() < 1.001
    assert (ratio < 1.02).double().mean() > 0.9
    assert found.gradients.eq(80).all()


@norms
def test_inside_a_ball_it_stops_at_the_first_break(norm):
    ball, x, y = BALLS[norm], X[:80], Y[:80]
    distances, _ = nearest(norm, FAB(15, smallest=True), MODEL, x, y)
    found = FAB(15)(MODEL, x, y, ball)
    assert torch.equal(found.broken, distances <= ball.eps)
    assert 10 < found.broken.sum() < 70
    assert (ball.distance(found.examples, x) <= ball.eps).all()
    held = ~found.broken
    assert found.gradients[held].eq(9 * 15).all()
    assert found.forwards[held].eq(9 * 15 + 1).all()
    assert found.gradients[found.broken].double().mean() < 40
    strong = APGD(40)(MODEL, x, y, ball)
    assert (found.broken ^ strong.broken).sum() <= 4


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
        distances, _ = nearest(norm, FAB(40, smallest=True), model, x, y)
        for i in range(30):
            others = grid[classes != y[i]]
            best = float(ball.distance(others, x[i : i + 1].expand_as(others)).min())
            assert distances[i] <= 1.15 * best + 1e-3
            assert distances[i] >= best - 0.01


def test_nan_and_vanishing_gradients_do_no_harm():
    class Faulty(nn.Module):
        def forward(self, x):
            lead = torch.where(x[:, 0] > 0.8, math.nan, 1.0) + 0 * x[:, 0]
            return torch.stack([lead, torch.zeros(len(x)), torch.zeros(len(x))], 1)

    x = torch.tensor([[0.9], [0.5]])
    distances, found = nearest("Linf", FAB(5, smallest=True), Faulty(), x, torch.zeros(2).long())
    assert found.broken.tolist() == [True, False]
    assert distances.tolist() == [0.0, math.inf]


def test_neither_batch_size_nor_company_change_a_result():
    x, y = X[:40], Y[:40]
    whole, found = nearest("L2", FAB(8, targets=3, smallest=True), MODEL, x, y)
    small, again = nearest("L2", FAB(8, targets=3, smallest=True), MODEL, x, y, pool=Pool(batch=7))
    torch.testing.assert_close(whole, small, rtol=1e-3, atol=0)
    assert torch.equal(found.gradients, again.gradients)
    assert torch.equal(
        found.examples, nearest("L2", FAB(8, 3, smallest=True), MODEL, x, y)[1].examples
    )


@pytest.mark.parametrize(
    "change",
    [{"steps": 0}, {"targets": 0}, {"alpha_max": 1.5}, {"eta": 0.9}, {"beta": 1.0}, {"beta": 0.0}],
)
def test_refuses_what_is_no_attack(change):
    with pytest.raises(ArgumentError, match="FAB needs"):
        FAB(**change)


def test_the_nearest_point_is_not_the_deepest():
    with pytest.raises(ArgumentError, match="FAB keeps the nearest point"):
        FAB(smallest=True)(MODEL, X, Y, BALLS["L2"], deepest=True)
