import torch

from wellposed.perturb import Attacked
from wellposed.perturb._standing import Standing


def found(examples, broken, margin):
    n = len(broken)
    ones = torch.ones(n, dtype=torch.int64)
    given = (torch.tensor(values) for values in (examples, broken, margin))
    return Attacked(*given, ones, 2 * ones)


def standing():
    one = Standing(torch.zeros(4, 1))
    one.take(
        torch.arange(4),
        found([[0.1], [0.2], [0.3], [0.4]], [False, True, False, False], [3.0, -1.0, 1.0, 2.0]),
    )
    return one


def test_keeps_what_is_better_and_counts_all():
    one = standing()
    one.take(torch.tensor([0, 2]), found([[0.5], [0.6]], [False, False], [4.0, 0.5]))
    now = one.attacked()
    torch.testing.assert_close(now.examples, torch.tensor([[0.1], [0.2], [0.6], [0.4]]))
    assert now.margin.tolist() == [3.0, -1.0, 0.5, 2.0]
    assert now.broken.tolist() == [False, True, False, False]
    assert now.gradients.tolist() == [2, 1, 2, 1]
    assert now.forwards.tolist() == [4, 2, 4, 2]
    assert one.left() == 3


def test_the_nearest_are_those_of_the_least_margin_that_are_not_broken():
    assert standing().nearest(0.5).tolist() == [2, 3]
    assert standing().nearest(0.3).tolist() == [2, 3]  # rounded up
    assert standing().nearest(0.25).tolist() == [2]
    assert standing().nearest(1.0).tolist() == [0, 2, 3]


def test_of_few_that_are_left_no_more_than_twice_the_share_is_taken():
    one, n = Standing(torch.zeros(1000, 1)), 1000
    broken = torch.arange(n) >= 100
    given = (torch.zeros(n, 1), broken, torch.arange(n).flip(0).float())
    zeros = torch.zeros(n, dtype=torch.int64)
    one.take(torch.arange(n), Attacked(*given, zeros, zeros))
    assert one.nearest(0.3).tolist() == list(range(40, 100))
    assert one.nearest(0.05).tolist() == list(range(84, 100))  # a handful
    assert one.nearest(0.01).tolist() == list(range(90, 100))
    assert one.nearest(1.0).tolist() == list(range(100))


def test_a_larger_ball_inherits_once_and_no_more():
    larger = Standing(torch.zeros(4, 1))
    larger.take(
        torch.arange(4),
        found([[0.9], [0.8], [0.7], [0.6]], [True, False, False, False], [-2.0, 1.0, 0.25, 5.0]),
    )
    for _ in range(2):
        larger.inherit(standing())
        now = larger.attacked()
        assert now.broken.tolist() == [True, True, False, False]
        assert now.margin.tolist() == [-2.0, -1.0, 0.25, 2.0]
        torch.testing.assert_close(now.examples, torch.tensor([[0.9], [0.2], [0.7], [0.4]]))


def test_stands_where_its_columns_say():
    other = Standing(torch.zeros(4, 1))
    other.load(standing().columns)
    for name, value in standing().columns.items():
        assert torch.equal(value, getattr(other, name))
