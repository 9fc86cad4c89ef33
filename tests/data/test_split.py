import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from wellposed.data._split import stratified_split
from wellposed.errors import ArgumentError, DataError


@given(
    st.lists(st.integers(0, 3), min_size=40, max_size=200),
    st.floats(0.2, 0.8),
    st.integers(0, 2**40),
)
def test_is_a_partition_with_equal_shares(labels, fraction, seed):
    y = torch.tensor([0, 1, 2, 3] * 4 + labels)
    rest, part = stratified_split(y, fraction, seed)
    assert torch.equal(torch.cat([rest, part]).sort().values, torch.arange(len(y)))
    assert torch.equal(rest, rest.sort().values)
    assert torch.equal(part, part.sort().values)
    for k in range(4):
        n = int((y == k).sum())
        assert abs(int((y[part] == k).sum()) - fraction * n) <= 2


def test_the_seed_decides():
    y = torch.arange(100) % 5
    assert torch.equal(stratified_split(y, 0.3, 1)[0], stratified_split(y, 0.3, 1)[0])
    assert not torch.equal(stratified_split(y, 0.3, 1)[0], stratified_split(y, 0.3, 2)[0])


def test_refuses_shares_outside_0_and_1():
    with pytest.raises(ArgumentError, match="between 0 and 1"):
        stratified_split(torch.arange(4) % 2, 1.0, 0)


@pytest.mark.parametrize(
    ("labels", "fraction"),
    [([0, 0, 0, 1], 0.5), ([0, 0, 1, 1, 2, 2], 0.2), ([0, 0, 1, 1, 2, 2], 0.8)],
)
def test_refuses_what_would_leave_a_class_out(labels, fraction):
    with pytest.raises(DataError, match="each part needs every class"):
        stratified_split(torch.tensor(labels), fraction, 0)
