import pytest
import torch

from wellposed.certify._arithmetic import SINGLE
from wellposed.certify._bounds import enclose
from wellposed.certify._margins import differences, margins
from wellposed.certify._region import region


def test_differences_are_of_the_label_and_each_other():
    rows, images = differences((3,), torch.tensor([1, 0]))
    assert rows.tolist() == [[-1, 1, 0], [0, 1, -1], [1, -1, 0], [1, 0, -1]]
    assert images.tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("shape", [(), (1,)])
def test_one_logit_is_that_of_the_second_class(shape):
    rows, images = differences(shape, torch.tensor([1, 0]))
    assert rows.shape == (2, *shape)
    assert rows.flatten().tolist() == [1, -1]
    assert images.tolist() == [0, 1]


def test_margins_are_below_and_get_better(traced, ball, points):
    graph = traced("dense")
    x = torch.rand((4, 2, 6, 6), generator=torch.Generator().manual_seed(0))
    where = region(x, ball(0.15), (0.0, 1.0))
    labels = graph(x.double()).argmax(1)
    bounds = enclose(graph, where, SINGLE)
    intervals, few = margins(bounds, labels, intervals=True)
    plain, same = margins(bounds, labels)
    ascended, more = margins(bounds, labels, steps=10)
    assert few == same == 8
    assert more > 8
    assert (intervals <= plain).all()
    assert (plain <= ascended).all()
    assert (plain < ascended).any()
    for point in points(where, 50):
        z = graph(point)
        own = z.gather(1, labels[:, None])[:, 0]
        others = z.scatter(1, labels[:, None], -torch.inf).amax(1)
        assert (ascended <= own - others).all()
