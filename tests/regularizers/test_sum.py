from dataclasses import dataclass

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from wellposed.errors import ArgumentError
from wellposed.regularizers import L1, L2, ElasticNet, Point, Regularizer, Sum


@dataclass(frozen=True)
class Bias(Regularizer):
    def __call__(self, at):
        return at.model.bias.square().sum()


def test_value_is_the_sum_of_the_values():
    at = Point(nn.Linear(4, 3))
    found = (L1(0.1) + L2(0.2) + Bias())(at)
    assert found.shape == ()
    torch.testing.assert_close(found, L1(0.1)(at) + L2(0.2)(at) + Bias()(at))


def test_order_of_addition_does_not_show():
    a, b, c = L1(0.1), L2(0.2), Bias()
    assert (a + b) + c == a + (b + c) == Sum((a, b, c))
    assert Sum((Sum((a, Sum((b,)))), c)).terms == (a, b, c)


@given(l1=st.floats(0, 2), l2=st.floats(0, 2), more=st.floats(0, 2))
def test_prox_is_that_of_the_elastic_net_with_added_strengths(l1, l2, more):
    start = torch.linspace(-2, 2, 12, dtype=torch.float64).view(3, 4)
    one, other = start.clone(), start.clone()
    (L2(l2) + L1(l1) + ElasticNet(more, l2)).prox_([one], 0.6)
    ElasticNet(l1 + more, 2 * l2).prox_([other], 0.6)
    torch.testing.assert_close(one, other)


def test_prox_of_anything_else_is_refused():
    for term in (L1(0.1) + Bias(), Bias() + L1(0.1), L1(0.1) + Bias() + L2(0.1), Sum((Bias(),))):
        with pytest.raises(ArgumentError, match=r"Bias.* is not known; it is for sums of L1, L2"):
            term.prox_([torch.ones(2, 2)], 0.1)


def test_a_sum_of_nothing_is_refused():
    with pytest.raises(ArgumentError, match="at least one regularizer"):
        Sum(())
