import math

import pytest
import torch
from torch import nn

from wellposed.errors import ArgumentError
from wellposed.perturb import FGSM, L1, L2, PGD, Linf

BALLS = [Linf(0.05), L2(0.3), L1(0.8)]
X = torch.rand(40, 1, 4, 4, generator=torch.Generator().manual_seed(0))


def net(classes=4):
    torch.manual_seed(2)
    norm = nn.BatchNorm1d(16)
    norm(torch.rand(200, 16))
    return nn.Sequential(
        nn.Flatten(), norm, nn.Linear(16, 20), nn.ReLU(), nn.Dropout(), nn.Linear(20, classes)
    )


MODEL = net().eval()
Y = MODEL(X).argmax(1)
balls = pytest.mark.parametrize("ball", BALLS, ids=lambda b: b.norm)


@balls
def test_what_it_returns_is_inside_and_breaks_in_a_fresh_pass(ball):
    found = PGD(steps=10)(MODEL, X, Y, ball)
    assert (ball.distance(found.examples, X) <= ball.eps).all()
    assert found.examples.min() >= 0
    assert found.examples.max() <= 1
    assert torch.equal(MODEL(found.examples).argmax(1) != Y, found.broken)
    assert 0 < found.accuracy < 1
    assert torch.equal(found.broken, ~(found.margin > 0))


@balls
def test_a_radius_of_zero_breaks_what_is_wrong_already(ball):
    labels = Y.clone()
    labels[:7] = (labels[:7] + 1) % 4
    found = PGD(steps=3)(MODEL, X, labels, ball.resized(0.0))
    assert found.broken.tolist() == [True] * 7 + [False] * 33
    assert torch.equal(found.examples, X)
    assert found.gradients.sum() == 0


@balls
def test_a_larger_radius_is_never_more_robust(ball):
    # from the inputs on, with steps that grow with the radius: no random luck
    shares = [
        PGD(steps=20, random=False)(MODEL, X, Y, ball.resized(ball.eps * k)).accuracy
        for k in (0, 0.3, 1, 3, 10)
    ]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] == 1
    assert shares[-1] < 0.2


def test_leaves_the_model_and_its_surroundings_as_they_were():
    model = net().train()
    model(X).sum().backward()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    grads = [p.grad.clone() for p in model.parameters()]
    drawn, inputs = torch.get_rng_state(), X.clone()
    PGD(steps=3)(model, inputs, Y, Linf(0.1))
    assert torch.equal(torch.get_rng_state(), drawn)
    assert torch.equal(inputs, X)
    assert all(m.training for m in model.modules())
    assert all(p.requires_grad for p in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(torch.equal(p.grad, g) for p, g in zip(model.parameters(), grads, strict=True))


@pytest.mark.parametrize("outside", [torch.no_grad, torch.inference_mode])
def test_works_where_gradients_are_off(outside):
    expected = PGD(steps=3)(MODEL, X, Y, Linf(0.05))
    with outside():
        found = PGD(steps=3)(MODEL, X.clone(), Y.clone(), Linf(0.05))
    assert torch.equal(expected.examples, found.examples)


def test_nan_logits_and_ties_are_broken():
    class Faulty(nn.Module):
        def forward(self, x):
            logits = torch.zeros(len(x), 3)
            logits[:, 0] = torch.where(x[:, 0] > 0.5, math.nan, 1.0) * (x[:, 0] > 0.2)
            return logits

    x = torch.tensor([[0.1], [0.3], [0.4], [0.6]])
    found = FGSM()(Faulty(), x, torch.zeros(4).long(), Linf(0.0))
    assert found.broken.tolist() == [True, False, False, True]
    # gradients are zero or NaN here: only the random start finds anything
    found = PGD(steps=1, restarts=20)(Faulty(), x, torch.zeros(4).long(), Linf(0.15))
    assert found.broken.tolist() == [True, True, True, True]


@pytest.mark.parametrize("shape", [(-1,), (-1, 1)])
def test_one_logit_is_two_classes(shape):
    class Binary(nn.Module):
        def forward(self, x):
            return (x.sum(1) - 1).view(shape)

    x = torch.tensor([[0.6, 0.6], [0.9, 0.9], [0.45, 0.45], [0.1, 0.1]])
    y = torch.tensor([1, 1, 0, 0])
    found = FGSM()(Binary(), x, y, Linf(0.2))
    assert found.broken.tolist() == [True, False, True, False]
    torch.testing.assert_close(found.margin, torch.tensor([-0.2, 0.4, -0.3, 0.4]))


def test_other_bounds_and_double_precision():
    model = nn.Linear(3, 2).double()
    x = torch.rand(20, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 8 - 4
    low, high = torch.tensor([-4.0, -5, -6]), torch.tensor([4.0, 5, 6])
    found = PGD(steps=5)(model, x, model(x).argmax(1), Linf(2.0), bounds=(low, high))
    assert found.examples.dtype == torch.float64
    assert ((found.examples >= low) & (found.examples <= high)).all()
    assert (found.examples < -3.9).any()


def test_begins_where_it_is_told():
    found = PGD(steps=20)(MODEL, X, Y, Linf(0.05))
    again = PGD(steps=1)(MODEL, X, Y, Linf(0.1), begin=found.examples)
    assert again.broken[found.broken].all()
    assert again.gradients[found.broken].max() <= 1


@balls
def test_goes_as_deep_as_it_can_if_told(ball):
    first = PGD(steps=20)(MODEL, X, Y, ball)
    deep = PGD(steps=20)(MODEL, X, Y, ball, deepest=True)
    assert torch.equal(first.broken, deep.broken)
    held = ~first.broken
    torch.testing.assert_close(first.margin[held], deep.margin[held], rtol=0, atol=1e-5)
    assert deep.margin[first.broken].mean() < 4 * first.margin[first.broken].mean()
    assert (deep.margin <= first.margin + 1e-5).all()
    assert deep.gradients.eq(20).all()
    logits = MODEL(deep.examples)
    others = logits.scatter(1, Y.unsqueeze(1), -math.inf).max(1).values
    torch.testing.assert_close(logits.gather(1, Y.unsqueeze(1)).squeeze(1) - others, deep.margin)
    assert (ball.distance(deep.examples, X) <= ball.eps).all()


def test_no_example_is_no_trouble():
    found = PGD()(MODEL, X[:0], Y[:0], Linf(0.1))
    assert found.examples.shape == (0, 1, 4, 4)
    assert len(found.broken) == 0


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"inputs": X * 2}, r"inputs go from .* leave their bounds, 0 to 1; give the bounds"),
        ({"inputs": X * math.nan}, "some of these are nan"),
        ({"inputs": (X * 255).byte()}, "float32 or float64, got torch.uint8"),
        ({"labels": Y[:3]}, r"labels of shape \(3,\) for 40 inputs"),
        pytest.param({"labels": torch.zeros(40)}, "whole numbers", marks=pytest.mark.wrong_types),
        ({"labels": torch.arange(40) % 5}, "labels go from 0 to 3 for .* 4 classes, got 0 to 4"),
        ({"labels": torch.arange(40) % 3 - 1}, "got -1 to 1"),
        (
            {"bounds": (torch.zeros(40, 1, 4, 4), 1.0)},
            r"one input, \(1, 4, 4\), got \(40, 1, 4, 4\)",
        ),
        ({"bounds": (0.0, torch.ones(3))}, r"one input, \(1, 4, 4\), got \(3,\)"),
        ({"seed": -1}, "seed from 0 below 2\\^63, got seed=-1"),
        ({"begin": X[:3]}, r"begin needs the shape of the inputs, \(40, 1, 4, 4\), got \(3"),
    ],
)
@pytest.mark.wrong_types
def test_refuses_what_makes_no_sense(change, sentence):
    arguments = {"model": MODEL, "inputs": X, "labels": Y, "ball": Linf(0.1)} | change
    with pytest.raises(ArgumentError, match=sentence):
        PGD(steps=1)(**arguments)


def test_bounds_that_rounding_misses_are_told_from_wrong_ones():
    raw, mean, std = torch.rand(4, 1, 4, 4).round(), 0.1307, 0.3081
    x, model = (raw - mean) / std, nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
    with pytest.raises(ArgumentError, match="which is rounding: make the bounds as tensors"):
        FGSM()(model, x, torch.zeros(4).long(), Linf(0.1), bounds=(-mean / std, (1 - mean) / std))
    bounds = [(torch.tensor(end) - mean) / std for end in (0.0, 1.0)]
    found = FGSM()(model, x, torch.zeros(4).long(), Linf(0.1), bounds=(bounds[0], bounds[1]))
    assert found.examples.isfinite().all()
    for wrong, said in (((1, 0), "are .least, greatest., got 1 to 0"), ((0, 1), "go from -0.42")):
        with pytest.raises(ArgumentError, match=said):
            FGSM()(model, x, torch.zeros(4).long(), Linf(0.1), bounds=wrong)
    with pytest.raises(ArgumentError, match="some of these are nan"):
        FGSM()(model, x * torch.nan, torch.zeros(4).long(), Linf(0.1))
