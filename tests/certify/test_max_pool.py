import pytest
import torch

from wellposed.certify._field import as_field
from wellposed.certify._max_pool import MaxPool
from wellposed.certify._window import Window, channels_last

SHAPE = (3, 7, 6)
CASES = {
    "plain": MaxPool((0,), (3, 3, 3), SHAPE, (2, 2), (2, 2), (0, 0)),
    "overlapping": MaxPool((0,), (3, 4, 3), SHAPE, (3, 3), (2, 2), (1, 1)),
    "uneven": MaxPool((0,), (3, 6, 2), SHAPE, (2, 3), (1, 2), (0, 0)),
    "beyond the border": MaxPool((0,), (3, 4, 3), SHAPE, (3, 3), (2, 2), (1, 0), ceil=True),
    "dilated": MaxPool((0,), (3, 3, 4), SHAPE, (2, 2), (2, 1), (0, 0), (2, 2)),
}


@pytest.mark.parametrize("name", CASES)
def test_the_chosen_value_is_below_and_decides_where_it_says_so(name):
    operation = CASES[name]
    generator = torch.Generator().manual_seed(0)
    low = torch.randn((4, *SHAPE), generator=generator, dtype=torch.float64)
    high = low + torch.rand((4, *SHAPE), generator=generator, dtype=torch.float64)
    place, decided = operation.chosen(low, high)
    assert place.shape == decided.shape == (4, *operation.shape)
    assert decided.any()
    assert not decided.all()
    for _ in range(200):
        value = low + torch.rand(low.shape, generator=generator, dtype=torch.float64) * (high - low)
        pooled = operation.apply(value)
        taken = value.flatten(2).gather(2, place.flatten(2)).reshape(pooled.shape)
        assert (taken <= pooled).all()
        assert (taken == pooled)[decided].all()


def test_a_point_is_decided_everywhere():
    value = torch.randn((2, *SHAPE), dtype=torch.float64)
    for operation in CASES.values():
        place, decided = operation.chosen(value, value)
        assert decided.all()
        taken = value.flatten(2).gather(2, place.flatten(2))
        assert torch.equal(taken.reshape(2, *operation.shape), operation.apply(value))


@pytest.mark.parametrize("name", CASES)
def test_coefficients_go_to_the_places(name):
    operation = CASES[name]
    generator = torch.Generator().manual_seed(1)
    value = torch.randn((2, *SHAPE), generator=generator, dtype=torch.float64)
    place, _ = operation.chosen(value, value)
    rows = torch.randn((2, *operation.shape), generator=generator, dtype=torch.float64)
    found = operation.route(Window(channels_last(rows)), channels_last(place))
    value.requires_grad_()
    [right] = torch.autograd.grad((operation.apply(value) * rows).sum(), value)
    torch.testing.assert_close(found.values, channels_last(right))
    corner = torch.tensor([[0, 1], [operation.shape[1] - 1, 0]])
    part = Window(channels_last(rows)[:, :2, :2].contiguous(), corner)
    part = part.without_padding(operation.shape)
    beside = as_field([place.double()]).at(part, torch.arange(2))[0]
    local = operation.route(part, beside)
    assert local.corner is not None
    whole = operation.route(part.whole(operation.shape), channels_last(place))
    torch.testing.assert_close(local.whole(SHAPE).values, whole.values)
