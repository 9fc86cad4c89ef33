import pytest
import torch

from wellposed.certify._convolution import Convolution, average_pool
from wellposed.certify._operation import count
from wellposed.certify._window import Window, channels_last

SHAPE = (4, 7, 6)


def convolution(
    out, kernel, stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1, *, bias=True
):
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn((out, 4 // groups, *kernel), generator=generator, dtype=torch.float64)
    offset = torch.randn(out, generator=generator, dtype=torch.float64) if bias else None
    sides = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, p, d, k, s in zip(SHAPE[1:], padding, dilation, kernel, stride, strict=True)
    ]
    return Convolution(
        (0,), (out, *sides), weight, offset, SHAPE, stride, padding, dilation, groups
    )


CASES = {
    "plain": convolution(3, (3, 3)),
    "padded": convolution(3, (3, 2), padding=(1, 1), bias=False),
    "strided": convolution(2, (3, 3), stride=(2, 3), padding=(1, 2)),
    "a stride that skips": convolution(2, (1, 1), stride=(2, 2)),
    "dilated": convolution(2, (3, 2), padding=(2, 1), dilation=(2, 3)),
    "groups": convolution(6, (3, 3), padding=(1, 1), groups=2),
    "depthwise": convolution(4, (2, 3), stride=(2, 1), groups=4),
    "average": average_pool((0,), SHAPE, (4, 4, 3), (2, 3), (2, 2), (1, 1)),
}


@pytest.fixture(params=CASES)
def operation(request):
    return CASES[request.param]


def matrix(operation):
    units = torch.eye(count(SHAPE), dtype=torch.float64).reshape(-1, *SHAPE)
    base = operation.apply(torch.zeros_like(units[:1]))
    return (operation.apply(units) - base).flatten(1).T


def rows_of(operation, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn((2, *operation.shape), generator=generator, dtype=torch.float64)


def test_values_have_the_shape_and_the_offset(operation):
    value = operation.apply(torch.zeros((1, *SHAPE), dtype=torch.float64))
    assert value.shape == (1, *operation.shape)
    offset = operation.offset()
    assert torch.equal(value, torch.zeros_like(value) if offset is None else value * 0 + offset)


def test_absolute_is_the_matrix_of_absolute_values(operation):
    value = torch.rand((2, *SHAPE), dtype=torch.float64)
    right = value.flatten(1) @ matrix(operation).abs().T
    torch.testing.assert_close(operation.absolute(value).flatten(1), right)


@pytest.mark.parametrize("differentiable", [False, True])
def test_transpose_is_that_of_the_matrix(operation, differentiable):
    rows = rows_of(operation)
    values = channels_last(rows).contiguous().requires_grad_(differentiable)
    [window] = operation.transpose(Window(values))
    right = (rows.flatten(1) @ matrix(operation)).reshape(-1, *SHAPE)
    torch.testing.assert_close(window.values.detach(), channels_last(right))


def test_transpose_of_a_window_is_that_of_the_whole(operation):
    values = channels_last(rows_of(operation))[:, :2, :1].contiguous()
    window = Window(values, torch.tensor([[0, 1], [operation.shape[1] - 2, 0]]))
    [found] = operation.transpose(window)
    [right] = operation.transpose(window.whole(operation.shape))
    assert found.corner is not None
    torch.testing.assert_close(found.whole(SHAPE).values, right.values)


def test_rows_are_those_of_the_matrix(operation):
    neurons = torch.tensor([0, 5, count(operation.shape) - 1])
    windows = operation.rows(neurons)
    if operation.groups != 1:
        assert windows is None
        return
    right = channels_last(matrix(operation)[neurons].reshape(-1, *SHAPE))
    torch.testing.assert_close(windows[0].whole(SHAPE).values, right)


def test_roundings_count_the_terms_of_a_sum():
    assert CASES["plain"].roundings == 4 * 9 + 1
    assert CASES["groups"].roundings == 2 * 9 + 1
    assert CASES["groups"].fan == 3 * 9
