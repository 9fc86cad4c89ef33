"""Back to where it was, bit by bit."""

import pytest
import torch

from wellposed.optim._kept import Kept


def tensors():
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(3, 2, generator=generator), torch.randn(4, generator=generator)]


def test_each_move_starts_from_the_copy():
    weights = tensors()
    kept = Kept(weights)
    direction = torch.arange(10.0)
    kept.move(direction, 7.0)
    kept.move(direction, 0.5)
    first, second = tensors()
    assert torch.equal(weights[0], first + 0.5 * torch.arange(6.0).reshape(3, 2))
    assert torch.equal(weights[1], second + 0.5 * torch.arange(6.0, 10.0))


def test_restored_bit_by_bit_with_what_was_set_beside():
    (weight, other), (before, beside) = tensors(), tensors()
    kept = Kept([weight], [other])
    kept.move(torch.full((6,), 1e20), 1.0)
    other.fill_(torch.nan)
    kept.restore()
    assert torch.equal(weight, before)
    assert torch.equal(other, beside)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_restored_whatever_is_raised(error):
    weights = tensors()
    kept = Kept(weights)

    def moved_and_raised():
        with kept.or_restored():
            kept.move(torch.ones(10), 1.0)
            raise error

    with pytest.raises(error):
        moved_and_raised()
    assert all(torch.equal(a, b) for a, b in zip(weights, tensors(), strict=True))


def test_without_an_error_the_move_stays():
    weights = tensors()
    kept = Kept(weights)
    with kept.or_restored():
        kept.move(torch.ones(10), 1.0)
    assert torch.equal(weights[1], tensors()[1] + 1)


def test_leaves_that_require_gradients_can_be_moved():
    weight = torch.nn.Parameter(torch.ones(2))
    Kept([weight]).move(torch.ones(2), -1.0)
    assert weight.tolist() == [0, 0]
    assert weight.is_leaf


def test_the_norm_is_that_of_the_weights_as_they_were():
    weights, beside = tensors()
    kept = Kept([weights], [beside])
    kept.move(torch.ones(6), 100.0)
    torch.testing.assert_close(kept.norm(), float(tensors()[0].norm()))
