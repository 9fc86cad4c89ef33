import pytest
import torch
from tests.perturb.victim import BALLS, MODEL, X, Y
from torch import nn

from wellposed.errors import ArgumentError
from wellposed.perturb import L1, L2, Linf, Pool, Square
from wellposed.perturb._hashed import hashed_uniform

IMAGES = X.view(-1, 1, 8, 8)
FLAT = nn.Sequential(nn.Flatten(), MODEL)


def small(channels=2, side=10):
    """A network of random weights, images, and the classes that it gives them."""
    torch.manual_seed(1)
    model = nn.Sequential(
        nn.Conv2d(channels, 6, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.LazyLinear(4)
    ).double()
    x = torch.rand(6, channels, side, side).double()
    return model, x, model(x).argmax(1)


class Numbers:
    """The numbers that example 0 draws, in the order in which it does."""

    def __init__(self, seed):
        self.seed = seed

    def __call__(self, clock, draw, count):
        zero = torch.zeros(1, dtype=torch.int64)
        return hashed_uniform([self.seed, zero, zero, zero + clock, draw], count)[0]


@pytest.mark.parametrize("norm", ["Linf", "L2", "L1"])
def test_follows_the_path_of_pyautoattack_from_the_same_random_numbers(norm, monkeypatch):
    square = pytest.importorskip("pyautoattack.square")
    model, x, y = small()
    ball = {"Linf": Linf(0.02), "L2": L2(0.1), "L1": L1(0.8)}[norm]
    numbers, queries, queue = Numbers(3), 60, {"int": [], "sign": [], "turn": []}

    def sign(values):
        return torch.where(values >= 0.5, 1.0, -1.0)

    def place(values, sides):
        return [int(v * (10 - s + 1)) for v, s in zip(values, sides, strict=True)]

    if norm == "Linf":
        queue["sign"].append(sign(numbers(-1, 1, 20)).view(1, 2, 1, 10))
    else:
        queue["turn"] += numbers(-1, 1, 25).tolist()
        queue["sign"] += sign(numbers(-1, 2, 50)).view(2, 25).T.view(25, 1, 2, 1, 1).unbind()
    theirs = square.SquareAttack(
        model, norm=norm, n_queries=queries, eps=ball.eps, resc_schedule=False, device="cpu"
    )
    for t in range(queries):
        side = round((theirs.p_selection(t) * 100) ** 0.5) if norm == "Linf" else 0
        if norm != "Linf":
            side = max(round((theirs.p_selection(t) * 100) ** 0.5), 3)
            side = min(side + (side % 2 == 0), 10)
        drawn = numbers(t + 1, 1, 4 if norm == "Linf" else 7)
        queue["int"] += place(drawn[:2], [side, side])
        if norm == "Linf":
            queue["sign"].append(sign(drawn[2:]).view(2, 1, 1))
        else:
            queue["int"] += place(drawn[2:4], [side, side])
            queue["turn"].append(float(drawn[4]))
            queue["sign"].append(sign(drawn[5:]).view(1, 2, 1, 1))
    monkeypatch.setattr(theirs, "random_int", lambda *_: queue["int"].pop(0))
    monkeypatch.setattr(theirs, "random_choice", lambda _: queue["sign"].pop(0))
    theirs.init_hyperparam(x)
    with monkeypatch.context() as patch:
        patch.setattr(square.torch, "rand", lambda _: torch.tensor([queue["turn"].pop(0)]))
        _, point = theirs.attack_single_run(x[:1], y[:1])
    assert not queue["int"]
    with torch.no_grad():
        logits = model(point)[0]
    best = logits[y[0]] - logits[torch.arange(4) != y[0]].max()
    found = Square(queries)(model, x[:1], y[:1], ball, seed=3)
    assert not found.broken
    assert found.forwards == queries + 2
    torch.testing.assert_close(found.margin[0], best, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(found.examples, point, rtol=0, atol=1e-4)


@pytest.mark.parametrize("norm", BALLS)
def test_breaks_at_least_as_many_as_pyautoattack(norm):
    square = pytest.importorskip("pyautoattack.square")
    ball, x, y = BALLS[norm].resized(1.2 * BALLS[norm].eps), IMAGES[:100], Y[:100]
    theirs = square.SquareAttack(
        FLAT, norm=norm, n_queries=150, eps=ball.eps, resc_schedule=False, device="cpu"
    )
    broken = FLAT(theirs.perturb(x, y)).argmax(1) != y
    found = Square(150)(FLAT, x, y, ball)
    assert 10 < broken.sum() < 90
    assert found.broken.sum() >= broken.sum() - 3  # their squares never touch the last column
    assert (ball.distance(found.examples, x) <= ball.eps).all()
    assert ((found.examples >= 0) & (found.examples <= 1)).all()
    assert torch.equal(FLAT(found.examples).argmax(1) != y, found.broken)
    assert found.gradients.sum() == 0
    assert found.forwards[~found.broken].eq(152).all()
    assert found.forwards[found.broken].max() <= 153


def test_finds_the_exact_answer_for_a_linear_model_in_the_maximum_norm():
    torch.manual_seed(0)
    weight = torch.randn(16)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 1))
    with torch.no_grad():
        model[1].weight[0], model[1].bias[0] = weight, -weight.sum() / 2
    x = 0.3 + 0.4 * torch.rand(100, 1, 4, 4)
    lead = model(x).squeeze(1).detach()
    eps = float(lead.abs().median() / weight.abs().sum())
    found = Square(400, share=0.1)(model, x, (lead > 0).long(), Linf(eps))
    exact = lead.abs() <= eps * weight.abs().sum()
    assert not found.broken[~exact].any()
    assert (exact ^ found.broken).sum() <= 1
    worst = lead.abs() - eps * weight.abs().sum()
    torch.testing.assert_close(found.margin[~exact], worst[~exact], rtol=1e-4, atol=1e-5)


def test_large_logits_and_quantized_inputs_hide_nothing():
    class Masked(nn.Module):
        def forward(self, x):
            return 1e4 * FLAT((x * 64).round() / 64)

    x, y = IMAGES[:60], Y[:60]
    plain = Square(100)(FLAT, x, y, Linf(0.12))
    masked = Square(100)(Masked(), x, y, Linf(0.12))
    assert (plain.broken ^ masked.broken).sum() <= 4
    assert masked.broken.sum() > 10


def test_neither_batch_size_nor_company_change_a_result():
    x, y = IMAGES[:40], Y[:40]
    for ball in BALLS.values():
        whole = Square(20)(FLAT, x, y, ball)
        small = Square(20)(FLAT, x, y, ball, pool=Pool(batch=9))
        assert torch.equal(whole.broken, small.broken)
        torch.testing.assert_close(whole.margin, small.margin, rtol=0, atol=1e-4)
        again = Square(20)(FLAT, x, y, ball)
        assert torch.equal(whole.examples, again.examples)
        assert not torch.equal(whole.examples, Square(20)(FLAT, x, y, ball, seed=1).examples)


def test_a_rescaled_schedule_shrinks_the_squares_earlier():
    sizes = {}

    class Seen(nn.Module):
        def forward(self, x):
            sizes.setdefault(rescaled, []).append(x.detach().clone())
            return torch.stack([x.flatten(1).sum(1) * 0 + 1, x.flatten(1).sum(1) * 0], 1)

    x = torch.full((1, 1, 20, 20), 0.5)
    for rescaled in (False, True):
        Square(40, rescaled=rescaled)(Seen(), x, torch.zeros(1).long(), Linf(0.1))
    # nothing helps, so that each proposal differs from the stripes by one square at most
    for rescaled, limit in ((False, 13), (True, 1)):
        seen = sizes[rescaled]
        changed = (seen[-1] != seen[1]).flatten(2)[0, 0].view(20, 20)
        assert changed.any(0).sum() <= limit
        assert changed.any(1).sum() <= limit
    assert any((x != sizes[False][1]).any(3).sum() > 10 for x in sizes[False][2:])


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 2, 7), (1, 6, 4)])
def test_images_of_any_sides_are_no_trouble(shape):
    torch.manual_seed(0)
    x = torch.rand(5, *shape)
    model = nn.Sequential(nn.Flatten(), nn.Linear(x[0].numel(), 3))
    y = model(x).argmax(1)
    for ball in BALLS.values():
        found = Square(12)(model, x, y, ball)
        assert (ball.distance(found.examples, x) <= ball.eps).all()
        assert (found.examples != x).any()


def test_restarts_are_for_those_that_hold():
    once = Square(5)(FLAT, IMAGES[:40], Y[:40], Linf(0.08))
    often = Square(5, restarts=3)(FLAT, IMAGES[:40], Y[:40], Linf(0.08))
    assert often.broken[once.broken].all()
    assert often.forwards[~often.broken].eq(19).all()


@pytest.mark.parametrize(
    "change", [{"queries": 0}, {"share": 0.0}, {"share": 1.1}, {"restarts": 0}]
)
def test_refuses_what_is_no_attack(change):
    with pytest.raises(ArgumentError, match="Square needs"):
        Square(**change)


def test_refuses_what_is_no_image_and_no_radius():
    with pytest.raises(ArgumentError, match=r"images of shape .* got inputs of shape \(n, 64\)"):
        Square(3)(MODEL, X, Y, Linf(0.1))
    with pytest.raises(ArgumentError, match="Square needs a finite radius"):
        Square(3)(FLAT, IMAGES, Y, Linf(torch.inf))
