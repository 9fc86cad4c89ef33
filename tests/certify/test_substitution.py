import pytest
import torch

from wellposed.certify import trace
from wellposed.certify._arithmetic import EXACT, SINGLE
from wellposed.certify._bounds import enclose
from wellposed.certify._region import region
from wellposed.certify._substitution import Rows, Substitution
from wellposed.certify._window import Window


def setting(traced, kind, ball, eps=0.05, norm="linf", program=SINGLE):
    graph = traced(kind)
    x = torch.rand((2, 2, 6, 6), generator=torch.Generator().manual_seed(0))
    where = region(x, ball(eps, norm), (0.0, 1.0))
    return graph, enclose(graph, where, program)


def rows(graph, count=6):
    generator = torch.Generator().manual_seed(1)
    coefficients = torch.randn((count, 3), generator=generator, dtype=torch.float64)
    images = torch.arange(count) % 2
    start = {len(graph.operations) - 1: Window(coefficients)}
    return Rows(start, torch.zeros(count, dtype=torch.float64), images), coefficients, images


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("how", [{}, {"best": True}, {"stop": True}])
def test_bounds_are_below_all_values(traced, kind, ball, points, norm, how):
    graph, bounds = setting(traced, kind, ball, 0.2, norm)
    start, coefficients, images = rows(graph)
    found = Substitution(bounds).lower(start, **how)
    for point in points(bounds.region, 60):
        values = (coefficients * graph(point)[images]).sum(1)
        assert (found <= values).all()


def test_a_point_is_bounded_by_its_value(traced, kind, ball):
    graph, bounds = setting(traced, kind, ball, 0.0, program=EXACT)
    start, coefficients, images = rows(graph)
    found = Substitution(bounds).lower(start)
    values = (coefficients * graph(bounds.region.center)[images]).sum(1)
    assert (found <= values).all()
    assert (found >= values - 1e-6).all()


def test_linear_networks_are_bounded_exactly(ball):
    layer = torch.nn.Sequential(torch.nn.Linear(5, 4), torch.nn.Linear(4, 3)).double()
    graph = trace(layer, (5,))
    x = torch.rand((2, 5), dtype=torch.float64)
    for norm, dual in (("linf", 1), ("l2", 2), ("l1", torch.inf)):
        where = region(x, ball(0.01, norm), (-9.0, 9.0))
        start, coefficients, images = rows(graph)
        found = Substitution(enclose(graph, where, EXACT)).lower(start)
        matrix = coefficients @ layer[1].weight @ layer[0].weight
        right = (coefficients * graph(x)[images]).sum(1) - 0.01 * matrix.norm(dual, dim=1)
        torch.testing.assert_close(found, right.detach(), rtol=1e-9, atol=1e-9)


def test_best_is_at_least_each_of_the_others(traced, kind, ball):
    graph, bounds = setting(traced, kind, ball, 0.2)
    both = Substitution(bounds).lower(rows(graph)[0], best=True)
    assert (both >= Substitution(bounds).lower(rows(graph)[0])).all()
    assert (both >= Substitution(bounds).lower(rows(graph)[0], stop=True)).all()


def test_what_is_not_finite_proves_nothing(traced, ball):
    graph, bounds = setting(traced, "dense", ball)
    bounds.high[2] = bounds.high[2] * torch.inf
    assert Substitution(bounds).lower(rows(graph)[0]).eq(-torch.inf).all()


def test_bounds_that_changed_are_read_again(traced, ball):
    graph, bounds = setting(traced, "dense", ball, 0.2)
    substitution = Substitution(bounds)
    before = substitution.lower(rows(graph)[0])
    bent = next(number for number in range(len(graph.operations)) if graph.bends(number))
    middle = (bounds.low[bent] + bounds.high[bent]) / 2
    bounds.intersect(bent, middle, bounds.high[bent])
    assert torch.equal(substitution.lower(rows(graph)[0]), before)
    substitution.forget()
    assert not torch.equal(substitution.lower(rows(graph)[0]), before)


def test_slopes_of_each_row_are_taken(traced, ball, points):
    graph, bounds = setting(traced, "dense", ball, 0.2)
    start, coefficients, images = rows(graph)
    bent = next(number for number in range(len(graph.operations)) if graph.bends(number))
    mixed = (bounds.low[bent] < 0) & (bounds.high[bent] > 0)
    slope = torch.where(mixed, 0.3, (bounds.low[bent] >= 0).double())[images]
    found = Substitution(bounds, slopes={bent + 1: slope}).lower(start)
    for point in points(bounds.region, 60):
        assert (found <= (coefficients * graph(point)[images]).sum(1)).all()
    assert not torch.allclose(found, Substitution(bounds).lower(rows(graph)[0]), atol=1e-6)
