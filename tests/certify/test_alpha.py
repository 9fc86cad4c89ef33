import pytest
import torch

from wellposed.certify._alpha import ascend
from wellposed.certify._arithmetic import SINGLE
from wellposed.certify._bounds import enclose
from wellposed.certify._region import region
from wellposed.certify._substitution import Rows, Substitution
from wellposed.certify._tighten import Tightening
from wellposed.certify._window import Window


def setting(traced, kind, ball, eps=0.2):
    graph = traced(kind)
    x = torch.rand((2, 2, 6, 6), generator=torch.Generator().manual_seed(0))
    where = region(x, ball(eps), (0.0, 1.0))
    bounds = enclose(graph, where, SINGLE, Tightening(graph.values(where.center), everywhere=True))
    coefficients = torch.tensor([[1.0, -1, 0], [1, 0, -1], [0, 1, -1]], dtype=torch.float64)
    images = torch.tensor([0, 1, 1])
    return graph, bounds, coefficients, images


@pytest.mark.parametrize("kind", ["dense", "conv", "mixed"])
def test_better_than_the_default_and_below_all_values(traced, kind, ball, points):
    graph, bounds, coefficients, images = setting(traced, kind, ball)
    coefficients[:, 0] -= 5  # so far from positive that the ascent does not end early
    rows = Rows({len(graph.operations) - 1: Window(coefficients)}, torch.zeros(3).double(), images)
    plain = Substitution(bounds).lower(rows)
    found = ascend(bounds, coefficients, images, steps=15)
    assert (found >= plain - 1e-6).all()
    assert kind == "mixed" or (found > plain + 1e-4).any()
    for point in points(bounds.region, 100):
        assert (found <= (coefficients * graph(point)[images]).sum(1)).all()


def test_one_step_is_the_default(traced, ball):
    graph, bounds, coefficients, images = setting(traced, "dense", ball)
    rows = Rows({len(graph.operations) - 1: Window(coefficients)}, torch.zeros(3).double(), images)
    torch.testing.assert_close(
        ascend(bounds, coefficients, images, steps=1), Substitution(bounds).lower(rows),
        rtol=1e-6, atol=1e-6,
    )  # fmt: skip


def test_nothing_to_choose_proves_nothing(traced, ball):
    _, bounds, coefficients, images = setting(traced, "smooth", ball)
    assert ascend(bounds, coefficients, images, steps=3).eq(-torch.inf).all()
