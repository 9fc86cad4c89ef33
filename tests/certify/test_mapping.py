import pytest
import torch
from torch.nn import functional

from wellposed.certify._mapping import Mapping, transposed
from wellposed.certify._window import Window, channels_last

W = torch.randn((2, 3, 3, 3), generator=torch.Generator().manual_seed(0)).double()


def upward(weight):
    return lambda value: functional.conv_transpose2d(value, weight.to(value), stride=2, padding=1)


def pool(value):
    return functional.avg_pool2d(value, 3, 2, 1, count_include_pad=False)


BIAS = torch.tensor([1.0, -2.0, 3.0]).double().reshape(3, 1, 1)
CASES = {
    "up": Mapping((0,), (3, 7, 7), (2, 4, 4), upward(W), upward(W.abs()), BIAS, 18, 27),
    "pool": Mapping((0,), (2, 2, 2), (2, 4, 4), pool, pool, None, 9, 9),
}


@pytest.fixture(params=CASES)
def mapping(request):
    return CASES[request.param]


def matrix(mapping):
    """Column after column, without the offset."""
    size = torch.tensor(mapping.before).prod()
    unit = torch.eye(int(size), dtype=torch.float64).reshape(-1, *mapping.before)
    return (mapping.apply(unit) - mapping.apply(torch.zeros_like(unit[:1]))).flatten(1).T


def test_values_are_those_of_matrix_and_offset(mapping):
    value = torch.rand((3, *mapping.before), dtype=torch.float64)
    found = mapping.apply(value)
    offset = 0 if mapping.offset() is None else mapping.offset().expand(mapping.shape).flatten()
    torch.testing.assert_close(found.flatten(1), value.flatten(1) @ matrix(mapping).T + offset)
    right = value.flatten(1) @ matrix(mapping).abs().T
    torch.testing.assert_close(mapping.absolute(value).flatten(1), right)
    assert mapping.apply(value.float()).dtype == torch.float32


def test_the_transpose_is_that_of_the_matrix(mapping):
    rows = torch.randn((3, *mapping.shape), dtype=torch.float64)
    [found] = mapping.transpose(Window(channels_last(rows)))
    right = (rows.flatten(1) @ matrix(mapping)).reshape(-1, *mapping.before)
    torch.testing.assert_close(found.values, channels_last(right))


def test_the_transpose_can_be_differentiated(mapping):
    rows = torch.randn((1, *mapping.shape), dtype=torch.float64, requires_grad=True)
    [found] = mapping.transpose(Window(channels_last(rows)))
    at = torch.rand_like(found.values)
    [right] = torch.autograd.grad((found.values * at).sum(), rows)
    value = at.permute(0, 3, 1, 2)
    zero = mapping.apply(torch.zeros_like(value))
    torch.testing.assert_close(right, mapping.apply(value) - zero)


def test_the_stretch_is_above_the_norm_and_not_far(mapping):
    norm = float(torch.linalg.matrix_norm(matrix(mapping), 2))
    assert norm <= mapping.stretch() <= 4 * norm


def test_a_transpose_of_one_example_only():
    found = transposed(lambda value: 2 * value, torch.ones((1, 3)).double(), (3,))
    assert found.tolist() == [[2.0, 2.0, 2.0]]
