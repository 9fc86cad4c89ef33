import pytest
import torch

from wellposed.certify._operation import (
    Concatenation,
    Dense,
    Input,
    Reshape,
    Scale,
    Sum,
    count,
)
from wellposed.certify._window import Window, channels_first, channels_last

torch.manual_seed(0)
W = torch.randn(5, 4, dtype=torch.float64)
B = torch.randn(5, dtype=torch.float64)
CHANNELS = torch.randn(3, 1, 1, dtype=torch.float64)
PLACES = torch.randn(1, 2, 4, dtype=torch.float64)

CASES = {
    "dense": (Dense((0,), (5,), W, B), [(4,)]),
    "dense over places": (Dense((0,), (3, 5), W, None), [(3, 4)]),
    "dense over an image": (Dense((0,), (2, 3, 5), W, B), [(2, 3, 4)]),
    "scale of channels": (
        Scale((0,), (3, 2, 4), CHANNELS, CHANNELS, CHANNELS.abs(), 3),
        [(3, 2, 4)],
    ),
    "scale of places": (Scale((0,), (3, 2, 4), PLACES, CHANNELS, CHANNELS.abs(), 3), [(3, 2, 4)]),
    "scale of a vector": (Scale((0,), (5,), B, B, B.abs(), 3), [(5,)]),
    "sum": (Sum((0, 1), (3, 2, 4), (1.0, -2.0)), [(3, 2, 4)] * 2),
    "flatten": (Reshape((0,), (24,), (3, 2, 4)), [(3, 2, 4)]),
    "unflatten": (Reshape((0,), (3, 2, 4), (24,)), [(24,)]),
    "concatenation": (Concatenation((0, 1), (5, 2, 4), (3, 2)), [(3, 2, 4), (2, 2, 4)]),
    "concatenation of vectors": (Concatenation((0, 1), (9,), (4, 5)), [(4,), (5,)]),
}


def matrices(operation, shapes):
    """The matrix of each argument, column by column."""
    zeros = [torch.zeros((1, *shape), dtype=torch.float64) for shape in shapes]
    base = operation.apply(*zeros)
    found = []
    for place, shape in enumerate(shapes):
        columns = []
        for unit in torch.eye(count(shape), dtype=torch.float64):
            arguments = list(zeros)
            arguments[place] = unit.reshape(1, *shape)
            columns.append((operation.apply(*arguments) - base).flatten())
        found.append(torch.stack(columns, 1))
    return found


@pytest.fixture(params=CASES)
def case(request):
    return CASES[request.param]


def test_offset_is_the_value_at_zero(case):
    operation, shapes = case
    zeros = [torch.zeros((1, *shape), dtype=torch.float64) for shape in shapes]
    value = operation.apply(*zeros)
    assert value.shape == (1, *operation.shape)
    offset = operation.offset()
    expected = torch.zeros_like(value) if offset is None else offset.expand(value.shape)
    assert torch.equal(value, expected)
    if offset is not None:
        assert (operation.size() >= offset.abs()).all()


def test_absolute_is_the_matrix_of_absolute_values(case):
    operation, shapes = case
    arguments = [torch.rand((2, *shape), dtype=torch.float64) for shape in shapes]
    pairs = zip(matrices(operation, shapes), arguments, strict=True)
    right = sum(argument.flatten(1) @ matrix.abs().T for matrix, argument in pairs)
    torch.testing.assert_close(operation.absolute(*arguments).flatten(1), right)


def test_transpose_is_that_of_the_matrix(case):
    operation, shapes = case
    rows = torch.randn((2, *operation.shape), dtype=torch.float64)
    found = operation.transpose(Window(channels_last(rows)))
    for window, matrix in zip(found, matrices(operation, shapes), strict=True):
        torch.testing.assert_close(
            channels_first(window.values).flatten(1), rows.flatten(1) @ matrix
        )


@pytest.mark.parametrize("name", [name for name, (op, _) in CASES.items() if len(op.shape) == 3])
def test_transpose_of_a_window_is_that_of_the_whole(name):
    operation, shapes = CASES[name]
    values = torch.randn((2, 2, 1, operation.shape[0]), dtype=torch.float64)
    window = Window(values, torch.tensor([[0, 1], [1, 2]])).without_padding(operation.shape)
    found = operation.transpose(window)
    right = operation.transpose(window.whole(operation.shape))
    for one, other, shape in zip(found, right, shapes, strict=True):
        torch.testing.assert_close(one.whole(shape).values, other.values)


def test_rows_of_a_dense_layer_are_its_weights():
    operation, _ = CASES["dense"]
    [window] = operation.rows(torch.tensor([3, 1]))
    assert torch.equal(window.values, W[[3, 1]])
    assert CASES["dense over places"][0].rows(torch.tensor([0])) is None
    assert CASES["flatten"][0].rows(torch.tensor([0])) is None


def test_every_rounding_of_a_value_is_counted():
    # one product and one addition each for 4 terms and a bias, at most; a sum of two needs one
    assert CASES["dense"][0].roundings == 5
    assert Sum((0, 1), (3,), (1.0, -1.0)).roundings == 1
    assert Sum((0, 1), (3,), (1.0, 0.5)).roundings == 3
    assert CASES["flatten"][0].roundings == 0


def test_the_input_is_its_argument():
    value = torch.ones(2, 3)
    assert Input((), (3,)).apply(value) is value
