import pytest
import torch
from torch import nn

from wellposed.errors import ArgumentError
from wellposed.perturb import L1, L2, PGD, CrossEntropy, Linf


def trained(scale=1.0):
    """Two rings of the plane, told apart by a small network."""
    torch.manual_seed(0)
    angle, x = 6.28 * torch.rand(400), torch.rand(400)
    y = (x > 0.5).long()
    radius = torch.where(y == 1, 0.35 + 0.1 * x, 0.1 + 0.2 * x)
    points = 0.5 + radius.unsqueeze(1) * torch.stack([angle.cos(), angle.sin()], 1)
    model = nn.Sequential(nn.Linear(2, 30), nn.Tanh(), nn.Linear(30, 2))
    optimizer = torch.optim.Adam(model.parameters(), 0.03)
    for _ in range(150):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(points), y).backward()
        optimizer.step()
    with torch.no_grad():
        model[2].weight *= scale
        model[2].bias *= scale
    return model, points, y


MODEL, POINTS, LABELS = trained()


@pytest.mark.parametrize("ball", [Linf(0.12), L2(0.13), L1(0.15)], ids=lambda b: b.norm)
def test_finds_what_brute_force_finds_in_the_plane(ball):
    points, labels = POINTS[:40], LABELS[:40]
    found = PGD(steps=30, restarts=8)(MODEL, points, labels, ball)
    side = torch.linspace(-ball.eps, ball.eps, 41)
    moves = torch.cartesian_prod(side, side)
    moves = moves[ball.distance(moves, moves * 0) <= ball.eps]
    with torch.no_grad():
        logits = MODEL((points.unsqueeze(1) + moves).clamp(0, 1))
    lead = (logits[..., 0] - logits[..., 1]) * (1 - 2 * labels.unsqueeze(1))
    worst = lead.min(1).values
    assert found.broken[worst <= 0].all()
    assert (worst[found.broken] < 0.6).all()
    assert 0.2 < found.accuracy < 0.95


def test_is_not_blinded_by_large_logits_as_cross_entropy_is():
    masked, points, labels = trained(scale=1000.0)
    right = masked(points).argmax(1) == labels
    points, labels = points[right][:100], labels[right][:100]
    honest = PGD()(MODEL, points, labels, Linf(0.1))
    margin = PGD()(masked, points, labels, Linf(0.1))
    blind = PGD(objective=CrossEntropy(), random=False)(masked, points, labels, Linf(0.1))
    assert torch.equal(honest.broken, margin.broken)
    assert blind.accuracy > margin.accuracy + 0.2


def test_restarts_help_and_stop_where_they_have_helped():
    once = PGD(steps=3)(MODEL, POINTS, LABELS, Linf(0.12))
    often = PGD(steps=3, restarts=5)(MODEL, POINTS, LABELS, Linf(0.12))
    assert often.broken[once.broken].all()
    assert often.gradients[~often.broken].eq(15).all()
    assert torch.equal(often.gradients[once.broken], once.gradients[once.broken])


@pytest.mark.parametrize(("norm", "ball"), [("Linf", Linf(0.12)), ("L2", L2(0.14))])
def test_agrees_with_foolbox(norm, ball):
    foolbox = pytest.importorskip("foolbox")
    pytest.importorskip("eagerpy")
    points, labels = POINTS[:200], LABELS[:200]
    theirs = getattr(foolbox.attacks, f"{norm}PGD")(
        steps=20, abs_stepsize=0.1 * ball.eps, random_start=False
    )
    fmodel = foolbox.PyTorchModel(MODEL.eval(), bounds=(0, 1))
    _, examples, success = theirs(fmodel, points, labels, epsilons=ball.eps)
    ours = PGD(steps=20, step_size=0.1 * ball.eps, objective=CrossEntropy(), random=False)
    found = ours(MODEL, points, labels, ball)
    assert 20 < success.sum() < 180
    assert (success ^ found.broken).sum() <= 1
    assert found.broken[success].all()  # theirs looks at the last point only
    held = ~(found.broken | success)
    best, last = (
        nn.functional.cross_entropy(MODEL(x[held]), labels[held], reduction="none")
        for x in (found.examples, examples)
    )
    assert (best >= last - 1e-5).all()
    torch.testing.assert_close(best, last, rtol=0.01, atol=0)


@pytest.mark.parametrize(
    "change", [{"steps": 0}, {"restarts": 0}, {"step_size": 0.0}, {"step_size": -1.0}]
)
def test_refuses_what_is_no_attack(change):
    with pytest.raises(ArgumentError, match="PGD needs"):
        PGD(**change)
