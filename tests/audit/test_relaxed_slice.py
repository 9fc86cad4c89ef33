import re

import numpy as np
import pytest
import torch
from torch import nn

from wellposed.audit import Subject, relaxed_slice
from wellposed.audit._directions import filter_normalized, length
from wellposed.audit._relaxed_slice import certain_minima, minima
from wellposed.errors import ArgumentError
from wellposed.runs import Verdict


class Function(nn.Module):
    """A function of one row of weights, of norm 1, whatever the inputs."""

    def __init__(self, n):
        super().__init__()
        w = torch.ones(1, n, dtype=torch.float64)
        self.w = nn.Parameter(w / w.norm())
        self.f = None

    def forward(self, inputs):
        return torch.stack([self.f(self.w[0]).expand(len(inputs)), inputs], 1)


def subject(f, n=1, noise=0.01):
    model = Function(n)
    model.f = f
    z = noise * torch.randn(60, generator=torch.Generator().manual_seed(0)).double()
    return Subject(model, {"train": (z, torch.zeros(60))}, lambda out, _: 1 + out[:, 0] + out[:, 1])


def curve(finding, figure, series):
    found = finding.figures[figure].series[series]
    return np.array(found.x), np.array(found.y)


def test_heat_adds_half_the_curvature_times_t_to_a_parabola():
    c = 3.0
    finding = relaxed_slice(subject(lambda w: 0.5 * c * (w - 1).square().sum()))
    assert finding.verdict is Verdict.PASS
    for k, t in enumerate((0.01, 0.04, 0.09), start=1):
        _, v = curve(finding, 0, k)
        base = curve(finding, 0, 0)[1]
        known = ~np.isnan(v)
        assert known[40]
        assert (v - base)[known] == pytest.approx(np.full(known.sum(), 0.5 * c * t), abs=1e-6)
    assert finding.value == pytest.approx(0.5 * c * 0.01)
    assert finding.evidence["heat_in_all_filters"]["rise"] == pytest.approx(0.5 * c * 0.01)


def test_hamilton_jacobi_flattens_a_parabola_and_leaves_its_minimum():
    c = 3.0
    finding = relaxed_slice(subject(lambda w: 0.5 * c * (w - 1).square().sum()), points=161)
    h = 4 / 160
    for series, t in enumerate((0.01, 0.04, 0.09, 0.36), start=1):
        a, u = curve(finding, 1, series)
        base = curve(finding, 1, 0)[1]
        known = ~np.isnan(u)
        right = base[80] + 0.5 * c * a**2 / (1 + c * t)
        assert u[80] == base[80]
        assert np.all(u[known] >= right[known] - 1e-9)
        assert np.all(u[known] <= right[known] + h**2 * (c + 1 / t) / 8 + 1e-9)


def wells(b):
    """Two equal wells, at the weight 1 and at 1 - 2 b: heat leaves one from t = b²/3 on."""
    return lambda w: 1000 * ((w - 1 + b).square() - b * b).square().sum()


def test_the_second_minimum_is_gone_when_the_closed_form_says():
    finding = relaxed_slice(subject(wells(0.3)), points=161, times=(0.01, 0.02, 0.029, 0.031, 0.04))
    assert finding.evidence["minima_that_are_certain"] == 2
    assert finding.evidence["second_minimum_gone_by"] == 0.031
    assert list(finding.evidence["minima_by_time"]["heat"].values()) == [2, 2, 2, 1, 1]
    # both wells are equally deep, and the lower envelope keeps both
    assert set(finding.evidence["minima_by_time"]["hamilton_jacobi"].values()) == {2}
    assert "heat leaves one from t = 0.031 on" in finding.statement


def test_units_are_those_of_the_filters():
    small, large = (
        relaxed_slice(subject(lambda w, s=s: s * (w - w.detach()).square().sum(), n=4))
        for s in (1, 2)
    )
    assert large.value == pytest.approx(2 * small.value)
    assert small.evidence["optimizers_time_per_time"] == pytest.approx(1)
    made = Subject(nn.Linear(3, 2), {"train": (torch.randn(30, 3), torch.zeros(30).long())})
    d = filter_normalized(made.model, made.generator("slice 0"))
    found = relaxed_slice(made)
    assert found.evidence["optimizers_time_per_time"] == pytest.approx(length(d) ** 2)


def test_heat_by_the_grid_is_that_of_the_network_itself(net, blobs):
    finding = relaxed_slice(Subject(net(), {"train": blobs(60)}))
    grid, nodes = map(float, re.findall(r"(?:grid|itself) (-?[\d.e-]+)", finding.verified))
    assert grid == pytest.approx(nodes, rel=1e-3, abs=1e-6)
    assert finding.verdict is Verdict.PASS
    low, high = finding.evidence["heat_in_all_filters"]["interval"]
    assert low < finding.evidence["heat_in_all_filters"]["rise"] < high


def test_a_line_that_is_too_coarse_is_unknown():
    finding = relaxed_slice(subject(lambda w: torch.cos(2 * torch.pi / 0.05 * (w - 1)).sum()))
    assert finding.verdict is Verdict.UNKNOWN
    assert "take more points" in finding.statement


def test_minima_are_counted_and_noise_makes_none():
    x = np.linspace(-2, 2, 81)
    assert minima((x**2 - 1) ** 2) == 2
    assert minima(np.maximum(np.abs(x) - 1, 0)) == 1
    assert minima(x) == 0
    generator = np.random.default_rng(0)
    noise = generator.normal(size=(81, 100))
    assert certain_minima((x**2)[:, None] + 0.5 * noise) == 1
    assert certain_minima(((x**2 - 1) ** 2)[:, None] + 0.5 * noise) == 2
    assert certain_minima(x[:, None] + 0 * noise) == 0


def test_noise_alone_seldom_makes_a_second_minimum():
    x = np.linspace(-2, 2, 41)
    generator = np.random.default_rng(1)
    many = [
        certain_minima((x**2)[:, None] + generator.normal(size=(41, 60))) > 1 for _ in range(100)
    ]
    assert sum(many) <= 10


def test_what_cannot_be_relaxed_says_why():
    flat = subject(lambda w: w.sum())
    for arguments, words in (
        ({"points": 40}, "points are odd"),
        ({"pairs": 1}, "at least 2 pairs"),
        ({"times": ()}, "no time to relax for"),
        ({"times": (1e-6,)}, "the grid is too coarse"),
    ):
        with pytest.raises(ArgumentError, match=words):
            relaxed_slice(flat, **arguments)
    with pytest.raises(ArgumentError, match="not finite on"):
        relaxed_slice(subject(lambda w: w.sqrt().sum()))
