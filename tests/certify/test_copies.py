import pytest
import torch

from wellposed.certify._copies import Copies
from wellposed.certify._window import Window, channels_last

CASES = {
    "reversed": Copies((0,), (6,), (6,), torch.arange(6).flip(0)),
    "padded": Copies((0,), (2, 3), (4,), torch.tensor([[4, 0, 1], [2, 3, 4]])),
    "repeated": Copies(
        (0,), (2, 2, 2), (2, 1, 1), torch.tensor([[[0, 0], [0, 1]], [[1, 1], [1, 0]]])
    ),
    "image": Copies((0,), (1, 2, 2), (2, 2, 3), torch.tensor([[[0, 11], [5, 12]]])),
}  # fmt: skip


@pytest.fixture(params=CASES)
def copies(request):
    return CASES[request.param]


def test_values_are_where_they_should_be():
    value = torch.tensor([[1.0, 2.0, 3.0, 4.0]])
    assert CASES["padded"].apply(value).tolist() == [[[0, 1, 2], [3, 4, 0]]]


def test_the_transpose_is_the_derivative(copies):
    generator = torch.Generator().manual_seed(0)
    value = torch.randn((3, *copies.before), generator=generator).double().requires_grad_()
    rows = torch.randn((3, *copies.shape), generator=generator).double()
    [right] = torch.autograd.grad((copies.apply(value) * rows).sum(), value)
    [found] = copies.transpose(Window(channels_last(rows)))
    torch.testing.assert_close(found.values, channels_last(right))


def test_the_longest_sum_is_that_of_the_value_with_most_copies():
    assert [case.fan for case in CASES.values()] == [1, 1, 4, 1]


def test_one_number_for_each_example_is_copied():
    copies = Copies((0,), (2,), (), torch.tensor([0, 1]))
    assert copies.apply(torch.tensor([3.0, 4.0])).tolist() == [[3, 0], [4, 0]]
    [found] = copies.transpose(Window(torch.tensor([[5.0, 6.0]])))
    assert found.values.tolist() == [5]
