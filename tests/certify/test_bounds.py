from fractions import Fraction

import pytest
import torch
from torch import nn

from wellposed.certify import trace
from wellposed.certify._arithmetic import DOUBLE, EXACT, SINGLE
from wellposed.certify._bounds import enclose
from wellposed.certify._region import region


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_values_of_the_region_lie_within(traced, kind, ball, points, norm):
    graph = traced(kind)
    x = torch.rand((3, 2, 6, 6), generator=torch.Generator().manual_seed(0))
    where = region(x, ball(0.1, norm), (0.0, 1.0))
    bounds = enclose(graph, where, SINGLE)
    for point in points(where, 50):
        for number, value in enumerate(graph.values(point)):
            assert (bounds.low[number] <= value).all()
            assert (value <= bounds.high[number]).all()


def test_the_program_lies_within_at_a_single_point(make, kind, ball):
    """Radius 0: what is left of the interval is rounding, and the float32 program is in it."""
    model = make(kind)
    graph = trace(model, (2, 6, 6))
    x = torch.rand((8, 2, 6, 6), generator=torch.Generator().manual_seed(0))
    where = region(x, ball(0.0), (0.0, 1.0))
    bounds = enclose(graph, where, SINGLE)
    last = len(graph.operations) - 1
    program = model(x).detach().double()
    assert (bounds.low[last] <= program).all()
    assert (program <= bounds.high[last]).all()
    exact = enclose(graph, where, EXACT)
    assert (exact.high[last] - exact.low[last]).max() < 1e-7
    assert (bounds.high[last] - bounds.low[last]).max() < 1e-2


def test_errors_bound_exact_rational_arithmetic(ball):
    """Sums in float32, in any order, differ from the exact ones by no more than the error."""
    torch.manual_seed(0)
    layer = nn.Linear(60, 4)
    graph = trace(layer, (60,))
    x = torch.rand(1, 60)
    bounds = enclose(graph, region(x, ball(0.0), (0.0, 1.0)), SINGLE)
    error = bounds.error(1)[0]
    for row in range(4):
        terms = zip(layer.weight[row].tolist(), x[0].tolist(), strict=True)
        exact = sum(Fraction(w) * Fraction(v) for w, v in terms) + Fraction(layer.bias[row].item())
        assert Fraction(bounds.low[1][0, row].item()) <= exact
        assert exact <= Fraction(bounds.high[1][0, row].item())
        for seed in range(5):
            order = torch.randperm(60, generator=torch.Generator().manual_seed(seed))
            total = layer.bias[row].detach()
            for i in order.tolist():
                total = total + layer.weight[row, i] * x[0, i]
            assert abs(Fraction(total.item()) - exact) <= Fraction(error[row].item())


def test_errors_are_of_the_size_of_the_arithmetic(traced, ball):
    graph = traced("dense")
    x = torch.rand(1, 2, 6, 6)
    where = region(x, ball(0.1), (0.0, 1.0))
    number = next(k for k in range(2, 9) if graph.bends(k))
    single = enclose(graph, where, SINGLE).error(number).max()
    double = enclose(graph, where, DOUBLE).error(number).max()
    exact = enclose(graph, where, EXACT)
    assert 1e-7 < single < 1e-4
    assert exact.error(number).max() < double < 1e-10


def test_one_layer_of_a_box_is_exact(ball):
    layer = nn.Linear(6, 3)
    graph = trace(layer, (6,))
    x = torch.rand(2, 6)
    where = region(x, ball(0.1), (0.0, 1.0))
    bounds = enclose(graph, where, EXACT)
    weight = layer.weight.detach().double()
    right = torch.where(weight > 0, where.low[:, None], where.high[:, None]) * weight
    torch.testing.assert_close(bounds.low[1], right.sum(2) + layer.bias.detach().double())


def test_better_bounds_are_taken_and_worse_ones_not(traced, ball):
    graph = traced("dense")
    x = torch.rand(2, 2, 6, 6)
    seen = []

    def tighten(bounds, number):
        seen.append(number)
        assert number in bounds.low
        bounds.intersect(number, bounds.low[number] - 1, bounds.high[number] - 0.01)

    plain = enclose(graph, region(x, ball(0.1), (0.0, 1.0)), SINGLE)
    better = enclose(graph, region(x, ball(0.1), (0.0, 1.0)), SINGLE, tighten)
    assert seen == [number for number in range(len(graph.operations)) if graph.bends(number)]
    first = seen[0]
    assert torch.equal(better.low[first], plain.low[first])
    assert torch.equal(better.high[first], plain.high[first] - 0.01)
    assert (better.high[first + 1] <= plain.high[first + 1]).all()
    one = better.select(torch.tensor([False, True]))
    assert torch.equal(one.low[first], better.low[first][1:])
    assert len(one.region.center) == 1
