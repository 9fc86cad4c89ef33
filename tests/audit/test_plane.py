import re

import numpy as np
import pytest
import torch
from tests.audit.bowls import EIGENVALUES, Bowl, quadratic

from wellposed.audit import Subject, examine, plane
from wellposed.audit._directions import filter_normalized
from wellposed.errors import ArgumentError
from wellposed.report._surface import surface_plot
from wellposed.runs import Verdict


def bowl(shift=0.0, n=100):
    """A bowl around the weights, or with its minimum a multiple of a direction away."""
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(3, 4, generator=generator).double()
    noise = 0.1 * torch.randn(n, 12, generator=generator).double()
    model = Bowl(weights)
    made = Subject(model, {"train": (torch.zeros(n, 12), torch.zeros(n))}, quadratic)
    d = filter_normalized(model, made.generator("slice 0"))["w"].flatten()
    inputs = weights.flatten() + noise - noise.mean(0) + shift * d
    return Subject(model, {"train": (inputs, torch.zeros(n))}, quadratic)


def test_a_bowl_is_its_quadratic_form_centered_at_the_weights():
    subject = bowl()
    finding = plane(subject)
    f = np.array(finding.figures[0].values)
    d1, d2 = (
        filter_normalized(subject.model, subject.generator(f"slice {k}"))["w"].flatten()
        for k in range(2)
    )
    a = np.array(finding.figures[0].x)
    g11, g12, g22 = (float((EIGENVALUES * p * q).sum()) for p, q in ((d1, d1), (d1, d2), (d2, d2)))
    right = 0.5 * (g11 * a[None] ** 2 + 2 * g12 * a[None] * a[:, None] + g22 * a[:, None] ** 2)
    assert f - f[7, 7] == pytest.approx(right, rel=1e-9, abs=1e-9)
    assert f == pytest.approx(f[::-1, ::-1], rel=1e-9)
    assert (a[7], list(a)) == (0, [-v for v in reversed(a)])
    assert (
        "no point is shown to be lower than the center: the lowest train loss seen is in the "
        in (finding.statement)
    )
    assert finding.verdict is Verdict.PASS
    assert finding.value < 0
    assert finding.evidence["convex_share"] == 1
    corner, copied = re.findall(r"(?:is|and) ([\d.e+]+)", finding.verified)[:2]
    assert float(corner) == pytest.approx(float(copied))
    assert float(corner) == pytest.approx(f[-1, -1], rel=1e-5)


def test_the_lowest_point_is_found_where_it_was_put():
    finding = plane(bowl(shift=3 / 7))
    assert finding.verdict is Verdict.WARN
    x, y, name = finding.figures[0].points[-1]
    assert (round(7 * x), y, name) == (3, 0, "lowest seen")
    assert finding.interval[0] <= finding.value <= finding.interval[1]
    assert "another point is lower than the center for certain" in finding.statement
    assert finding.remedy


def test_its_labels_are_whole_on_the_page():
    figure = plane(bowl()).figures[0]
    text = str(surface_plot(figure))
    assert f">{figure.x_label}<" in text
    assert f">{figure.y_label}<" in text


def test_a_saddle_s_share_of_convex_points_is_0():
    subject = bowl()
    signs = torch.tensor([1.0, -1.0] * 6, dtype=torch.float64)
    subject.loss = lambda outputs, _: 500 + 0.5 * (outputs.square() * signs * 100).sum(1)
    assert plane(subject).evidence["convex_share"] == 0


def test_healthy_bowls_raise_no_alarm_where_the_mean_of_few_examples_is_off():
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        weights = torch.randn(3, 4, generator=generator).double()
        inputs = weights.flatten() + 0.3 * torch.randn(50, 12, generator=generator).double()
        subject = Subject(Bowl(weights), {"train": (inputs, torch.zeros(50))}, quadratic)
        assert plane(subject, points=7).verdict is not Verdict.WARN


def test_it_is_left_out_of_the_quick_budget_but_runs_when_named(subject):
    made = subject()
    assert "plane" not in [f.check for f in examine(made, budget="quick")]
    finding = examine(made, ["plane"], "quick")["plane"]
    assert np.isfinite(finding.value)


def test_what_is_out_of_range_is_refused(subject):
    with pytest.raises(ArgumentError, match="points are odd"):
        plane(subject(), points=4)
    with pytest.raises(ArgumentError, match="reach is above 0"):
        plane(subject(), reach=0)
