import copy
import math

import pytest
import torch
from tests.perturb.victim import BALLS, MODEL, X, Y
from torch import nn

from wellposed.errors import ArgumentError
from wellposed.perturb import APGD, FMN, LogBarrier, Pool, break_distances
from wellposed.perturb._log_barrier import log_gap

DUALS = {"Linf": 1, "L2": 2, "L1": torch.inf}
norms = pytest.mark.parametrize("norm", BALLS)
SHORT = LogBarrier(outer=15, inner=20)


def distances(norm, attack, model, x, y, **more):
    ball = BALLS[norm].resized(torch.inf)
    return break_distances(attack(model, x, y, ball, **more), x, ball)


def test_the_gap_is_that_of_the_probabilities():
    logits = torch.tensor([[0.0, 1.0, 2.0], [3.0, 1.0, 2.0], [1.0, 1.0, 0.0], [math.nan, 0, 0]])
    found = log_gap(logits, torch.tensor([0, 0, 0, 0]))
    weights = math.exp(0) + math.exp(1) + math.exp(2)
    assert found[0].item() == pytest.approx(math.log((math.exp(2) - 1) / weights), rel=1e-6)
    assert found[1:].tolist() == [-math.inf] * 3
    logits = torch.tensor([[1.0, 1.0, 0.0], [5.0, 0.0, 0.0]], requires_grad=True)
    log_gap(logits, torch.tensor([0, 0])).sum().backward()
    assert torch.equal(logits.grad, torch.zeros(2, 3))


@norms
def test_approaches_the_exact_distances_of_a_linear_model(norm):
    torch.manual_seed(1)
    model = nn.Linear(12, 2).double()
    x = torch.rand(30, 12).double()
    logits = model(x).detach()
    y = logits.argmax(1)
    slope = (model.weight[0] - model.weight[1]).detach()
    exact = (logits[:, 0] - logits[:, 1]).abs() / torch.linalg.vector_norm(slope, DUALS[norm])
    attack = LogBarrier(outer=15, inner=70 if norm == "Linf" else 40)
    found = distances(norm, attack, model, x, y, bounds=(-2.0, 3.0))
    assert (found >= exact * (1 - 1e-9)).all()
    last = attack.alpha * attack.shrink**14
    # where the derivative of the objective is 0, the gap being linear in the distance
    central = (exact + (exact.square() + 4 * last).sqrt()) / 2 if norm == "L2" else exact + last
    assert (found <= central * 1.05 + 0.01).double().mean() > 0.85


def plain(model, x, y, norm, start, attack):
    """Steps and halvings for one example, as the paper has them; the nearest point's distance."""
    point, nearest, evaluations = start, math.inf, 0
    total = attack.outer * attack.inner + 1
    order = {"Linf": torch.inf, "L2": 2, "L1": 1}[norm]

    def gap(z):
        p = model(z).softmax(1)[0]
        return torch.cat([p[:y], p[y + 1 :]]).max() - p[y]

    last = point
    while evaluations < total:
        point = point.detach().requires_grad_()
        value = gap(point)
        alpha = attack.alpha * attack.shrink ** (evaluations // attack.inner)
        evaluations += 1
        if value <= 0:
            point = (point + last) / 2
            continue
        last = point.detach()
        delta = (point - x).flatten()
        nearest = min(nearest, float(torch.linalg.vector_norm(delta.detach(), order)))
        size = delta.abs()
        if norm == "L2":
            distance = 0.5 * size.square().sum()
        else:
            distance = ((attack.temperature * size).softmax(0) * size).sum()
        (slope,) = torch.autograd.grad(distance - alpha * value.log(), point)
        point = (point - attack.step_size * slope).clamp(0, 1)
    return nearest


@pytest.mark.parametrize("norm", ["Linf", "L2"])
def test_agrees_with_a_plain_loop(norm):
    model, attack = copy.deepcopy(MODEL).double(), LogBarrier(outer=6, inner=15)
    x, y = X[:4].double(), Y[:4]
    start = APGD(10)(model, x, y, BALLS["L2"].resized(3.0), deepest=True).examples
    found = distances(norm, attack, model, x, y, begin=start)
    for i in range(4):
        expected = plain(model, x[i : i + 1], int(y[i]), norm, start[i : i + 1], attack)
        assert float(found[i]) == pytest.approx(expected, rel=1e-6)


@norms
def test_never_asks_beyond_the_bounds_from_its_start_on(norm):
    asked = []

    class Watched(nn.Module):
        def forward(self, x):
            asked.append(x.detach())
            return MODEL(x)

    found = LogBarrier(outer=2, inner=60)(Watched(), X[:20], Y[:20], BALLS[norm].resized(torch.inf))
    points = torch.cat(asked)
    assert points.min() == 0
    assert points.max() == 1
    assert found.broken.double().mean() > 0.9
    assert found.gradients.eq(120).all()
    assert (found.examples != X[:20]).any(1)[found.broken].all()


@norms
def test_is_not_far_from_the_nearest_that_others_find(norm):
    near = distances(norm, FMN(100), MODEL, X[:40], Y[:40])
    found = distances(norm, LogBarrier(outer=15, inner=40), MODEL, X[:40], Y[:40])
    assert (found / near).median() < (3.0 if norm == "Linf" else 1.3)
    assert (found / near).min() > 0.8


@norms
def test_within_a_ball_only_what_lies_inside_counts(norm):
    ball = BALLS[norm]
    found = SHORT(MODEL, X[:40], Y[:40], ball)
    free = distances(norm, SHORT, MODEL, X[:40], Y[:40])
    assert torch.equal(found.broken, free <= ball.eps)
    assert (ball.distance(found.examples, X[:40]) <= ball.eps).all()


def test_what_cannot_break_and_what_is_broken_do_no_harm():
    class Faulty(nn.Module):
        def forward(self, x):
            lead = torch.where(x[:, 0] > 0.8, math.nan, 1.0) + 0 * x[:, 0]
            lead = torch.where(x[:, 0] < 0.2, 0.0, lead)
            return torch.stack([lead, torch.zeros(len(x))], 1)

    class Sure(nn.Module):
        def forward(self, x):
            return torch.stack([x[:, 0] + 1, 0 * x[:, 0]], 1)

    x, y = torch.tensor([[0.9], [0.1], [0.5]]), torch.zeros(3).long()
    found = distances("L2", SHORT, Faulty(), x, y)
    assert found[:2].tolist() == [0, 0]
    assert 0.3 <= found[2] < 0.5
    assert distances("L2", SHORT, Sure(), x, y).tolist() == [math.inf] * 3


def test_neither_batch_size_nor_company_change_a_result():
    x, y = X[:30].double(), Y[:30]
    model = copy.deepcopy(MODEL).double()
    whole = distances("L2", LogBarrier(5, 15), model, x, y)
    small = distances("L2", LogBarrier(5, 15), model, x, y, pool=Pool(batch=7))
    torch.testing.assert_close(whole, small, rtol=1e-6, atol=0)
    assert torch.equal(whole, distances("L2", LogBarrier(5, 15), model, x, y))


@pytest.mark.parametrize(
    "change",
    [
        {"outer": 0},
        {"inner": 0},
        {"alpha": 0.0},
        {"shrink": 1.0},
        {"step_size": 0.0},
        {"temperature": -1.0},
    ],
)
def test_refuses_what_is_no_attack(change):
    with pytest.raises(ArgumentError, match="LogBarrier needs"):
        LogBarrier(**change)
