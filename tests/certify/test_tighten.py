import pytest
import torch

from wellposed.certify._arithmetic import SINGLE
from wellposed.certify._bounds import enclose
from wellposed.certify._region import region
from wellposed.certify._substitution import Substitution
from wellposed.certify._tighten import Tightening, start


def where(ball, eps=0.1, norm="linf", count=3):
    x = torch.rand((count, 2, 6, 6), generator=torch.Generator().manual_seed(0))
    return region(x, ball(eps, norm), (0.0, 1.0))


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_tight_bounds_hold_and_are_never_looser(traced, kind, ball, points, norm):
    graph = traced(kind)
    place = where(ball, 0.1, norm)
    tightening = Tightening(graph.values(place.center), everywhere=True)
    tight, plain = enclose(graph, place, SINGLE, tightening), enclose(graph, place, SINGLE)
    assert tightening.rows > 0
    last = len(graph.operations) - 1
    assert (tight.low[last] >= plain.low[last]).all()
    assert (tight.high[last] - tight.low[last] < plain.high[last] - plain.low[last]).all()
    for point in points(place, 50):
        for number, value in enumerate(graph.values(point)):
            assert (tight.low[number] <= value).all()
            assert (value <= tight.high[number]).all()


def test_pieces_change_nothing(traced, ball):
    graph = traced("conv")
    place = where(ball)
    found = []
    for budget in (1, 3000, 2**20):
        tightening = Tightening(graph.values(place.center), everywhere=True, budget=budget)
        found.append(enclose(graph, place, SINGLE, tightening))
    for other in found[1:]:
        for number, low in found[0].low.items():
            torch.testing.assert_close(other.low[number], low, rtol=1e-12, atol=1e-12)


def test_examples_do_not_see_each_other(traced, kind, ball):
    graph = traced(kind)
    place = where(ball)
    together = enclose(
        graph, place, SINGLE, Tightening(graph.values(place.center), everywhere=True)
    )
    for image in range(3):
        one = place.select(torch.tensor([image]))
        alone = enclose(graph, one, SINGLE, Tightening(graph.values(one.center), everywhere=True))
        for number, low in alone.low.items():
            torch.testing.assert_close(together.low[number][image], low[0], rtol=1e-9, atol=1e-9)


def test_a_box_behind_affine_layers_only_needs_no_rows(traced, ball):
    graph = traced("conv")
    for norm, some in (("linf", False), ("l2", True)):
        place = where(ball, norm=norm)
        tightening = Tightening(graph.values(place.center), everywhere=False)
        enclose(graph, place, SINGLE, tightening)
        assert (tightening.rows > 0) == some


def test_only_undecided_values_are_taken_back(traced, ball):
    graph = traced("dense")
    place = where(ball, 0.0)
    tightening = Tightening(graph.values(place.center), everywhere=True)
    enclose(graph, place, SINGLE, tightening)
    assert tightening.rows == 0


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_rows_stand_for_single_values(traced, kind, ball, points, sign):
    graph = traced(kind)
    place = where(ball, 0.02)
    bounds = enclose(graph, place, SINGLE)
    for number in range(len(graph.operations)):
        if not graph.bends(number):
            continue
        flat = bounds.low[number].flatten(1)
        neurons = torch.tensor([0, flat.shape[1] - 1, flat.shape[1] // 2])
        images = torch.tensor([0, 1, 2])
        rows = start(bounds, number, neurons, sign, images)
        found = Substitution(bounds).lower(rows)
        for point in points(place, 30):
            value = graph.values(point)[number].flatten(1)[images, neurons]
            assert (found <= sign * value).all()
