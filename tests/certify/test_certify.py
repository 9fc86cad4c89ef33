from fractions import Fraction
from itertools import pairwise, product

import numpy as np
import pytest
import torch
from scipy.optimize import linprog
from torch import nn

from wellposed.certify import METHODS, Graph, certify
from wellposed.certify._activation import LeakyReLU
from wellposed.certify._operation import Dense, Input
from wellposed.errors import ArgumentError


def perceptron(widths, seed=0, scale=1.0):
    """Weights, and the network of them, without tracing."""
    generator = torch.Generator().manual_seed(seed)
    layers, operations = [], [Input((), (widths[0],))]
    for into, out in pairwise(widths):
        weight = torch.randn((out, into), generator=generator) * scale / into**0.5
        bias = 0.3 * torch.randn(out, generator=generator)
        layers.append((weight, bias))
        number = len(operations) - 1
        operations.append(Dense((number,), (out,), weight.double(), bias.double()))
        if out != widths[-1] or len(layers) < len(widths) - 1:
            operations.append(LeakyReLU((number + 1,), (out,)))
    return layers, Graph(tuple(operations), ("",) * len(operations))


def program(layers, x):
    """The float32 network."""
    for weight, bias in layers[:-1]:
        x = torch.relu(nn.functional.linear(x, weight, bias))
    return nn.functional.linear(x, *layers[-1])


def margin_of(z, labels):
    own = z.gather(-1, labels[..., None])[..., 0]
    return own - z.scatter(-1, labels[..., None], -torch.inf).amax(-1)


def exact_margin(layers, x, label, eps):
    """The least margin over a box in [0, 1], by a linear program on each activation pattern."""
    (w1, b1), (w2, b2) = ((w.double().numpy(), b.double().numpy()) for w, b in layers)
    low, high = (x - eps).clamp(min=0).tolist(), (x + eps).clamp(max=1).tolist()
    best = float("inf")
    for pattern in product((0, 1), repeat=len(b1)):
        signs = 2 * np.array(pattern)[:, None] - 1
        active = (w2 * pattern) @ w1
        offset = (w2 * pattern) @ b1 + b2
        for other in range(len(b2)):
            if other == label:
                continue
            found = linprog(
                active[label] - active[other], A_ub=-signs * w1, b_ub=signs[:, 0] * b1,
                bounds=list(zip(low, high, strict=True)),
            )  # fmt: skip
            if found.status == 0:
                best = min(best, found.fun + offset[label] - offset[other])
    return best


@pytest.mark.parametrize("seed", range(3))
def test_two_layers_against_the_enumeration_of_all_patterns(ball, seed):
    layers, graph = perceptron((3, 5, 3), seed, 2.0)
    x = torch.rand((2, 3), generator=torch.Generator().manual_seed(seed))
    labels = program(layers, x).argmax(1)
    for eps in (0.02, 0.15):
        right = [
            exact_margin(layers, a.double(), int(b), eps) for a, b in zip(x, labels, strict=True)
        ]
        found = {m: certify(graph, x, labels, ball(eps), method=m).margin for m in METHODS}
        for margin in found.values():
            assert (margin <= torch.tensor(right)).all()
        if eps == 0.02:  # where no sign is open, or few are, the bound is the minimum
            gap = torch.tensor(right) - found["alpha-crown"]
            assert gap.max() < 0.05


@pytest.mark.parametrize(("norm", "dual"), [("linf", 1), ("l2", 2), ("l1", torch.inf)])
@pytest.mark.parametrize("method", [*METHODS, "auto"])
def test_linear_networks_are_exact(ball, norm, dual, method):
    model = nn.Linear(6, 3).double()
    x = 0.4 + 0.2 * torch.rand((4, 6), dtype=torch.float64)
    labels = torch.tensor([0, 1, 2, 0])
    found = certify(model, x, labels, ball(0.05, norm), method=method)
    z = model(x).detach()
    weight = model.weight.detach()
    for i, label in enumerate(labels.tolist()):
        right = min(
            z[i, label] - z[i, j] - 0.05 * (weight[label] - weight[j]).norm(dual)
            for j in range(3)
            if j != label
        )
        assert found.margin[i].item() == pytest.approx(right.item(), abs=1e-9)
        assert found.margin[i] <= right
    assert torch.equal(found.certified, found.margin > 0)


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_methods_get_better_and_radii_worse(traced, kind, ball, norm):
    graph = traced(kind)
    x = torch.rand((3, 2, 6, 6), generator=torch.Generator().manual_seed(0))
    labels = graph(x.double()).argmax(1)
    before = None
    for eps in (0.0, 0.01, 0.1):
        found = [certify(graph, x, labels, ball(eps, norm), method=m).margin for m in METHODS]
        for worse, better in pairwise(found):
            assert (better >= worse - 1e-6).all()
        if before is not None:
            for small, large in zip(before, found, strict=True):
                assert (large <= small + 1e-6).all()
        before = found


def test_the_cascade_decides_like_the_best_and_says_who_did(traced, ball):
    graph = traced("conv")
    x = torch.rand((6, 2, 6, 6), generator=torch.Generator().manual_seed(0))
    labels = graph(x.double()).argmax(1)
    seen = set()
    for eps in (0.001, 0.01, 0.05, 0.1):
        auto = certify(graph, x, labels, ball(eps))
        best = certify(graph, x, labels, ball(eps), method="alpha-crown")
        assert torch.equal(auto.certified, best.certified)
        assert auto.rows > 0
        seen |= set(auto.method)
        for i, name in enumerate(auto.method):
            alone = certify(graph, x[i : i + 1], labels[i : i + 1], ball(eps), method=name)
            assert alone.margin.item() == pytest.approx(auto.margin[i].item(), abs=1e-9)
    assert len(seen) >= 3


def test_a_wrong_label_is_never_certified(traced, ball):
    graph = traced("dense")
    x = torch.rand(4, 2, 6, 6)
    z = graph(x.double())
    found = certify(graph, x, z.argmin(1), ball(0.0))
    assert not found.certified.any()
    assert (found.margin < margin_of(z, z.argmin(1)) + 1e-9).all()


@pytest.mark.parametrize("ties", [0, 1, 2, 4])
def test_ties_and_margins_of_a_few_ulp_are_not_certified(ball, ties):
    """Two logits that differ by a few ulp in exact arithmetic, and less in float32 sums."""
    weight = torch.ones(2, 40) / 3
    bias = torch.tensor([0.0, 0.0])
    for _ in range(ties):
        bias[0] = torch.nextafter(bias[0] + 1, torch.tensor(9.0)) - 1
    graph = Graph((Input((), (40,)), Dense((0,), (2,), weight.double(), bias.double())), ("", ""))
    x = torch.rand((20, 40), generator=torch.Generator().manual_seed(0))
    labels = torch.zeros(20, dtype=torch.long)
    z = nn.functional.linear(x, weight, bias)
    program_says = z[:, 0] > z[:, 1]
    found = certify(graph, x, labels, ball(0.0))
    assert not (found.certified & ~program_says).any()
    assert not found.certified.any()  # 40 terms of about 1/6: no order may lose 5 ulp of 6
    if ties:
        exact = certify(graph, x, labels, ball(0.0), exact=True)
        assert exact.certified.all()


def test_certified_in_exact_arithmetic_is_so_in_fractions(ball):
    layers, graph = perceptron((3, 4, 2), 5)
    x = torch.rand((5, 3), generator=torch.Generator().manual_seed(1))
    labels = torch.zeros(5, dtype=torch.long)
    found = certify(graph, x, labels, ball(0.0), exact=True)
    for row, margin in zip(x.tolist(), found.margin.tolist(), strict=True):
        value = [Fraction(v) for v in row]
        for number, (weight, bias) in enumerate(layers):
            sums = [
                sum(Fraction(w) * v for w, v in zip(ws, value, strict=True)) + Fraction(b)
                for ws, b in zip(weight.tolist(), bias.tolist(), strict=True)
            ]
            value = [max(s, Fraction(0)) for s in sums] if number == 0 else sums
        right = value[0] - value[1]
        assert Fraction(margin) <= right
        assert float(right) - margin < 1e-11


def test_no_random_network_is_both_certified_and_broken(ball):
    """100 networks and boxes; `reproductions/certified_or_broken.py` takes 10,000."""
    certified = broken = 0
    for seed in range(100):
        generator = torch.Generator().manual_seed(seed)
        widths = [int(torch.randint(2, 7, (), generator=generator)) for _ in range(3)]
        layers, graph = perceptron((widths[0], *widths[1:], 3), seed, 1.5)
        x = torch.rand((4, widths[0]), generator=generator)
        labels = program(layers, x).argmax(1)
        eps = 10 ** (-2 * torch.rand((), generator=generator).item())
        found = certify(graph, x, labels, ball(eps), method="crown")
        share = torch.rand((200, *x.shape), generator=generator).round_()
        points = ((x - eps) + 2 * eps * share).clamp(0, 1)
        inside = ((points.double() - x.double()).abs() <= eps).all(-1)
        attacked = (margin_of(program(layers, points), labels.expand(200, -1)) <= 0) & inside
        hit = attacked.any(0)
        assert not (hit & found.certified).any()
        certified, broken = certified + int(found.certified.sum()), broken + int(hit.sum())
    assert certified > 40
    assert broken > 40


class Squeeze(nn.Module):
    def forward(self, x):
        return x.squeeze(1)


@pytest.mark.parametrize("squeezed", [False, True])
def test_one_logit_is_that_of_the_second_class(ball, squeezed):
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 1))
    if squeezed:
        model.append(Squeeze())
    x = torch.rand((6, 4), generator=torch.Generator().manual_seed(0))
    logit = model(x).detach().flatten().double()
    for labels in (torch.zeros(6).long(), torch.ones(6).long()):
        found = certify(model, x, labels, ball(0.001))
        signed = logit * (2 * labels - 1)
        assert (found.margin <= signed).all()
        assert (found.margin >= signed - 0.02).all()


def test_nothing_to_certify(traced, ball):
    found = certify(traced("dense"), torch.rand(0, 2, 6, 6), torch.zeros(0).long(), ball(0.1))
    assert len(found.margin) == len(found.certified) == found.rows == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "magic"}, "no method is called 'magic'; known are auto, ibp"),
        ({"labels": torch.tensor([0])}, "labels of shape \\(1,\\) for 2 examples"),
        ({"labels": torch.tensor([0, 3])}, "classes from 0 to 2"),
        pytest.param(
            {"labels": torch.tensor([0.0, 1.7])}, "whole numbers", marks=pytest.mark.wrong_types
        ),
        ({"inputs": torch.rand(2, 2, 6, 5)}, "traced for inputs of shape \\(2, 6, 6\\)"),
        ({"inputs": torch.rand(2, 2, 6, 6) + 1}, "outside the bounds"),
        ({"inputs": torch.rand(2, 2, 6, 6).double()}, "give inputs of that type"),
        (
            {"inputs": torch.rand(2, 2, 6, 6).half()},
            r"computes in torch\.float32, .* found torch\.float16",
        ),
    ],
)
def test_refusals(traced, ball, change, message):
    arguments = {"inputs": torch.rand(2, 2, 6, 6), "labels": torch.tensor([0, 1]), "method": "ibp"}
    arguments |= change
    with pytest.raises(ArgumentError, match=message):
        certify(traced("dense"), ball=ball(0.1), **arguments)


def test_outputs_that_are_no_logits_are_refused(ball):
    with pytest.raises(ArgumentError, match="one vector of logits"):
        certify(nn.Conv2d(1, 2, 2), torch.rand(2, 1, 4, 4), torch.tensor([0, 1]), ball(0.1))


class Scalars(nn.Module):
    """Logits that are made one by one."""

    def forward(self, x):
        return torch.stack([x[:, 0].relu() * 2, x.square().sum(1) + 1], 1)


@pytest.mark.parametrize("method", METHODS)
def test_logits_that_are_made_one_by_one(ball, method):
    x = torch.tensor([[0.5, 0.5], [0.2, 0.9]])
    found = certify(Scalars(), x, torch.tensor([1, 1]), ball(0.1), method=method)
    right = torch.tensor(
        [0.6**2 + 0.4**2 + 1 - 1.2, 0.3**2 + 0.8**2 + 1 - 0.6], dtype=torch.float64
    )
    assert (found.margin <= right).all()
    assert (found.margin >= right - 0.25).all()


def test_what_overflows_in_the_program_is_not_certified(ball):
    model = nn.Sequential(nn.ReLU(), nn.Linear(2, 2))
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor([[2e38, 2e38], [1e38, 1e38]]))
    x, label = torch.full((1, 2), 3.0), torch.tensor([0])
    assert model(x).isinf().all()
    for method in METHODS:
        assert not certify(model, x, label, ball(0.1), bounds=(0, 5), method=method).certified
    assert certify(model.double(), x.double(), label, ball(0.1), bounds=(0, 5)).certified
    inside = torch.full((1, 2), 0.01)
    assert certify(model.float(), inside, label, ball(0.001), bounds=(0, 5)).certified
