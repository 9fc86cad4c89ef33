import numpy as np
import pytest
import torch
from tests.audit.bowls import EIGENVALUES, Bowl, quadratic
from torch import nn

from wellposed.audit import Subject, examine
from wellposed.audit._directions import filter_normalized
from wellposed.audit._landscape import Landscape
from wellposed.audit._slice import symmetric
from wellposed.errors import ArgumentError
from wellposed.runs import Verdict


def bowl(offset=0.0, n=200):
    """A bowl whose minimum is at the weights, or away from them."""
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(3, 4, generator=generator).double()
    noise = torch.randn(n, 12, generator=generator).double()
    inputs = weights.flatten() + noise - noise.mean(0) + offset
    return Subject(Bowl(weights), {"train": (inputs, torch.zeros(n))}, quadratic)


def found(subject, budget="standard"):
    return examine(subject, ["slice"], budget)["slice"]


def test_a_bowl_is_an_exact_parabola_of_known_curvature_centered_at_the_weights():
    finding = found(bowl())
    assert finding.verdict is Verdict.PASS
    for line, (low, high), slope in zip(
        finding.figures[0].series,
        finding.evidence["curvatures"],
        finding.evidence["slopes"],
        strict=True,
    ):
        a, f = np.array(line.x), np.array(line.y)
        curvature = (low + high) / 2
        assert high - low < 1e-6 * curvature  # the same for every example
        assert f == pytest.approx(f[10] + 0.5 * curvature * a**2, rel=1e-9)
        assert f == pytest.approx(f[::-1], rel=1e-9)
        assert slope[0] < 0 < slope[1]
    assert finding.value == pytest.approx(0, abs=0.01)


def test_the_curvature_is_the_quadratic_form():
    subject = bowl()
    finding = found(subject)
    for k in range(2):
        d = filter_normalized(subject.model, subject.generator(f"slice {k}"))["w"].flatten()
        right = float((EIGENVALUES * d**2).sum())
        assert sum(finding.evidence["curvatures"][k]) / 2 == pytest.approx(right, rel=1e-6)


def test_a_bowl_beside_its_minimum_is_found():
    finding = found(bowl(offset=0.5))
    assert finding.verdict is Verdict.WARN
    assert finding.interval[0] > 0.01
    assert finding.remedy


def test_a_saddle_is_found():
    subject = bowl()
    subject.loss = lambda outputs, _: 5000 - quadratic(outputs, _)
    finding = found(subject)
    assert finding.verdict is Verdict.WARN
    assert "2 of 2 random directions have negative curvature" in finding.statement


def trained(net, blobs, seed, steps):
    model, (inputs, targets) = net(seed), blobs(200, seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs), targets).backward()
        optimizer.step()
    return Subject(model, {"train": (inputs, targets)})


def test_training_that_stopped_at_once_is_found(net, blobs):
    for seed in range(5):
        assert found(trained(net, blobs, seed, 2), "quick").verdict is Verdict.WARN


def test_twenty_trained_networks_raise_no_alarm(net, blobs):
    verdicts = [found(trained(net, blobs, seed, 80), "quick").verdict for seed in range(20)]
    assert Verdict.WARN not in verdicts
    assert verdicts.count(Verdict.PASS) >= 18  # UNKNOWN where the interval holds the threshold


def test_a_wrong_gradient_is_noticed(net, blobs):
    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(_, x):
            return x.clone()

        @staticmethod
        def backward(_, g):
            return 3 * g

    class Layer(nn.Module):
        def forward(self, x):
            return Wrong.apply(x)

    model = net(0, nn.Linear(4, 8), nn.Tanh(), Layer(), nn.Linear(8, 3))
    finding = found(Subject(model, {"train": blobs(200)}))
    assert finding.verdict is Verdict.UNKNOWN
    assert "is not that of its objective" in finding.statement


def test_slope_and_curvature_agree_with_the_derivatives_of_a_smooth_network(subject):
    finding = found(subject())
    words = finding.verified.replace(";", ",").split(" ")
    numbers = [float(w.strip(",")) for w in words if w.strip(",-").replace(".", "").isdigit()]
    assert len(numbers) == 4
    assert numbers[0] == pytest.approx(numbers[1], rel=0.01, abs=1e-3)
    assert numbers[2] == pytest.approx(numbers[3], rel=0.01, abs=1e-3)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            ArgumentError("no second derivatives (of a sort)"),
            "; nothing to compare the curvature with: no second derivatives (of a sort)",
        ),
        (
            RuntimeError("a lock\nof a door"),
            "; the Hessian product to compare the curvature with failed: RuntimeError: a lock",
        ),
    ],
)
def test_a_product_that_fails_is_told_by_its_own_line(monkeypatch, subject, error, said):
    def fails(*_):
        raise error

    monkeypatch.setattr(Landscape, "curvature", fails)
    finding = found(subject())
    assert finding.verdict is not Verdict.UNKNOWN
    assert finding.verified.endswith(said)


@pytest.mark.parametrize(
    ("layer", "kinked"),
    [(nn.ReLU(), True), (nn.Tanh(), False), (nn.GELU(), False), (nn.Hardtanh(), True)],
    ids=["relu", "tanh", "gelu", "hardtanh"],
)
def test_kinks_are_spoken_of_where_there_are_some(subject, net, layer, kinked):
    finding = found(subject(net(0, nn.Linear(4, 8), layer, nn.Linear(8, 3))))
    assert ("passes over kinks" in finding.verified) == kinked


def test_losses_down_the_gradient_that_span_decades_are_drawn_by_their_logarithm(subject):
    positive = found(subject()).figures[1]
    assert (positive.log_x, positive.log_y) == (True, True)
    saddle = bowl()
    saddle.loss = lambda outputs, _: -quadratic(outputs, _)
    assert not found(saddle).figures[1].log_y


def test_grids_are_symmetric_around_an_exact_0():
    for points in (3, 21, 41):
        grid = symmetric(points)
        assert grid[points // 2] == 0
        assert grid == [-a for a in reversed(grid)]
        assert (grid[0], grid[-1], len(grid)) == (-1, 1, points)


def test_what_cannot_be_drawn_says_why(subject, net):
    model = net()
    model.requires_grad_(requires_grad=False)
    finding = found(subject(model))
    assert finding.verdict is Verdict.UNKNOWN
    assert "no parameters that require a gradient" in finding.statement
