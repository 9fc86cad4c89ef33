import copy

import pytest
import torch
from tests.perturb.victim import BALLS, MODEL, X, Y
from torch import nn

from wellposed.errors import ArgumentError
from wellposed.perturb import APGD, DLR, L1, PGD, CrossEntropy, Margin, Objective, Pool
from wellposed.perturb._apgd import checkpoint_gaps


def test_checkpoints_are_those_of_the_paper():
    shares = [0.0, 0.22]
    while shares[-1] < 1:
        shares.append(shares[-1] + max(shares[-1] - shares[-2] - 0.03, 0.06))
    points = [t for t, gap in enumerate(checkpoint_gaps(100)) if gap]
    assert points == [round(100 * p) for p in shares[1:] if p <= 1]
    assert points[:4] == [22, 41, 57, 70]
    gaps = checkpoint_gaps(100)
    assert sum(gaps) == points[-1]
    assert checkpoint_gaps(1) == [0, 1]


def plain_apgd(model, x, y, ball, start, steps, objective):
    """The algorithm for one example, as the paper writes it down; the values it saw."""
    marks = [t for t, gap in enumerate(checkpoint_gaps(steps)) if gap]

    def look(point):
        point = point.clone().requires_grad_()
        value = objective(model(point), y)
        return float(value.detach()), torch.autograd.grad(value.sum(), point)[0]

    value, slope = look(start)
    points, values = [start], [value]
    best, top, top_slope, size = value, start, slope, 2 * ball.eps
    sizes, bests, before = [size], [value], None
    for k in range(steps):
        here = points[-1]
        ahead = ball.project(here + size * ball.steepest(slope), x)
        share = 1.0 if before is None else 0.75
        inertia = 0.0 if before is None else here - before
        new = ball.project(here + share * (ahead - here) + (1 - share) * inertia, x)
        before = here
        value, slope = look(new)
        values.append(value)
        points.append(new)
        if value > best:
            best, top, top_slope = value, new, slope
        if k + 1 in marks:
            last = marks[marks.index(k + 1) - 1] if marks[0] != k + 1 else 0
            rises = sum(values[t + 1] > values[t] for t in range(last, k + 1))
            few = rises <= 0.75 * (k + 1 - last)
            stuck = len(sizes) > 1 and sizes[-1] == sizes[-2] and bests[-1] >= best
            if few or stuck:
                size = size / 2
                points[-1], slope = top, top_slope
            sizes.append(size)
            bests.append(best)
    return values


@pytest.mark.parametrize("norm", ["Linf", "L2"])
@pytest.mark.parametrize("objective", [Margin(), CrossEntropy(), DLR()])
def test_agrees_with_a_plain_loop(norm, objective):
    ball = BALLS[norm]
    seen = []

    class Noted(Objective):
        def __call__(self, logits, labels):
            values = objective(logits, labels)
            seen.append(float(values.detach()))
            return values

    model, attack = copy.deepcopy(MODEL).double(), APGD(30, Noted())
    # those that do not break, so that the whole path is seen
    held = (~APGD(30, objective)(MODEL, X, Y, ball).broken).nonzero().squeeze(1)[:2]
    for i in held:
        x, y = X[i : i + 1].double(), Y[i : i + 1]
        start = ball.random(x, generator=torch.Generator().manual_seed(int(i)))
        seen.clear()
        found = attack(model, x, y, ball, begin=start)
        values = plain_apgd(model, x, y, ball, start, 30, objective)
        assert len(seen) == 31 or found.broken.any()
        assert seen == pytest.approx(values[: len(seen)], rel=1e-9)


@pytest.mark.parametrize("norm", ["Linf", "L2"])
@pytest.mark.parametrize("loss", ["ce", "dlr"])
def test_agrees_with_pyautoattack_from_the_same_start(norm, loss):
    base = pytest.importorskip("pyautoattack.autopgd_base")
    ball = BALLS[norm]
    start = ball.random(X, generator=torch.Generator().manual_seed(1))
    theirs = base.APGDAttack(
        MODEL, n_iter=30, norm=norm, eps=ball.eps, seed=0, loss=loss, device="cpu"
    )
    theirs.init_hyperparam(X)
    _, right, _, _ = theirs.attack_single_run(X, Y, x_init=start)
    objective = CrossEntropy() if loss == "ce" else DLR()
    found = APGD(30, objective)(MODEL, X, Y, ball, begin=start)
    broken = ~right.bool()
    assert 20 < broken.sum() < 130
    # They scale into the L2 ball and then clip to the bounds, which is not the nearest point.
    assert (broken ^ found.broken).sum() <= (1 if norm == "Linf" else 4)
    assert (ball.distance(found.examples, X) <= ball.eps).all()


def test_agrees_with_pyautoattack_in_the_l1_norm(monkeypatch):
    base = pytest.importorskip("pyautoattack.autopgd_base")
    noise = torch.randn(X.shape, generator=torch.Generator().manual_seed(2))
    monkeypatch.setattr(base.torch, "randn_like", lambda _: noise.clone())
    theirs = base.APGDAttack(
        MODEL, n_iter=30, norm="L1", eps=2.0, seed=0, loss="ce", device="cpu", use_largereps=True
    )
    theirs.init_hyperparam(X)
    _, right, _, _ = theirs.decr_eps_pgd(X, Y, [6.0, 4.0, 2.0], [9, 9, 12])
    monkeypatch.undo()
    found = APGD(30, CrossEntropy())(MODEL, X, Y, L1(2.0), begin=X + noise)
    broken = ~right.bool()
    assert 20 < broken.sum() < 130
    assert (broken ^ found.broken).sum() <= 4


@pytest.mark.parametrize("norm", BALLS)
def test_neither_batch_size_nor_order_change_a_result(norm):
    attack, ball, x, y = APGD(12), BALLS[norm], X[:60], Y[:60]
    whole = attack(MODEL, x, y, ball)
    small = attack(MODEL, x, y, ball, pool=Pool(batch=17))
    assert torch.equal(whole.broken, small.broken)
    torch.testing.assert_close(whole.margin, small.margin, rtol=0, atol=1e-3)
    start = ball.random(x, generator=torch.Generator().manual_seed(1))
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    whole = attack(MODEL, x, y, ball, begin=start)
    shuffled = attack(MODEL, x[order], y[order], ball, begin=start[order])
    assert torch.equal(whole.broken[order], shuffled.broken)


@pytest.mark.parametrize("norm", BALLS)
def test_is_at_least_as_strong_as_pgd(norm):
    ours = APGD(40)(MODEL, X, Y, BALLS[norm])
    plain = PGD(40)(MODEL, X, Y, BALLS[norm])
    assert ours.accuracy <= plain.accuracy + (0.05 if norm == "L1" else 0.01)
    assert 0.1 < ours.accuracy < 0.95


@pytest.mark.parametrize("norm", BALLS)
def test_reaches_the_exact_robust_accuracy_of_a_linear_model(norm):
    torch.manual_seed(1)
    model = nn.Linear(64, 2).double()
    x = 0.45 + 0.1 * torch.rand(150, 64, dtype=torch.float64)
    y = model(x).argmax(1).detach()
    w = (model.weight[0] - model.weight[1]).detach()
    lead = (model(x)[:, 0] - model(x)[:, 1]).abs().detach()
    fall = lead.median()
    eps = float(fall / torch.linalg.vector_norm(w, {"Linf": 1, "L2": 2, "L1": torch.inf}[norm]))
    found = APGD(60)(model, x, y, BALLS[norm].resized(eps), bounds=(-9.0, 9.0))
    exact = lead <= fall
    assert exact.sum() == 75
    assert not found.broken[~exact].any()
    # In the L1 norm it rests where two coordinates share what the steeper one should have.
    gap = 0.05 * fall if norm == "L1" else 0.003 * fall
    held = ~found.broken
    assert (lead[held] - fall >= -gap).all()
    assert (found.margin[held] - (lead - fall)[held] <= gap).all()


def test_costs_what_it_says():
    for norm, gradients in (("Linf", 12), ("L2", 12), ("L1", 14)):
        found = APGD(12)(MODEL, X[:20], Y[:20], BALLS[norm].resized(1e-3))
        assert not found.broken.any()
        assert found.gradients.tolist() == [gradients] * 20
        assert found.forwards.tolist() == [2] * 20


@pytest.mark.parametrize("change", [{"steps": 0}, {"restarts": 0}])
def test_refuses_what_is_no_attack(change):
    with pytest.raises(ArgumentError, match="APGD needs"):
        APGD(**change)
    with pytest.raises(ArgumentError, match="in the L1 norm needs at least 4 steps, got steps=3"):
        APGD(3)(MODEL, X, Y, L1(1.0))


def test_a_leap_begins_where_the_gradient_at_the_input_points():
    ball, objective = BALLS["L2"], CrossEntropy()
    x, y = X[:30].clone().requires_grad_(), Y[:30]
    (slope,) = torch.autograd.grad(objective(MODEL(x), y).sum(), x)
    there = ball.project(x.detach() + ball.eps * ball.steepest(slope), x.detach())
    told = APGD(5, objective)(MODEL, X[:30], y, ball, begin=there)
    leapt = APGD(5, objective, leap=True)(MODEL, X[:30], y, ball)
    assert torch.equal(told.broken, leapt.broken)
    torch.testing.assert_close(told.examples, leapt.examples)
    assert torch.equal(told.gradients + 1, leapt.gradients)
    assert torch.equal(told.forwards - 1, leapt.forwards)


def test_a_leap_without_a_slope_or_into_another_round_begins_at_random():
    class Flat(nn.Module):
        def forward(self, x):
            return torch.stack([1 + 0 * x[:, 0], 0 * x[:, 0]], 1)

    x, y = torch.rand(6, 3), torch.zeros(6, dtype=torch.int64)
    seen = []
    for leap in (False, True):
        model = nn.Sequential(Flat())
        model.register_forward_hook(lambda _, given, __, leap=leap: seen.append((leap, given[0])))
        APGD(2, restarts=2, leap=leap)(model, x, y, BALLS["Linf"])
    plain, leapt = ([given for flag, given in seen if flag is leap] for leap in (False, True))
    for one, other in zip(plain, leapt, strict=True):
        assert torch.equal(one, other)


def test_no_leap_where_the_caller_says_where_to_begin():
    ball = BALLS["Linf"]
    plain, leapt = (
        APGD(4, leap=f)(MODEL, X[:20], Y[:20], ball, begin=X[:20]) for f in (False, True)
    )
    assert torch.equal(plain.examples, leapt.examples)
    assert torch.equal(plain.gradients, leapt.gradients)


def test_a_leap_refuses_labels_that_are_no_classes():
    with pytest.raises(ArgumentError, match=r"labels go from 0 to 9 .* got 0 to 11"):
        APGD(2, leap=True)(MODEL, X[:3], torch.tensor([0, 1, 11]), BALLS["Linf"])
