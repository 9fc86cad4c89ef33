"""What every loss must do."""

import pytest
import torch

from wellposed import losses
from wellposed.errors import ArgumentError
from wellposed.recipe import public

LOSSES = sorted(public(losses, losses.Loss).values(), key=lambda c: c.__name__)
BATCH, CLASSES = 6, 4


@pytest.fixture(params=LOSSES, ids=lambda c: c.__name__)
def loss(request):
    return request.param()


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(3)
    outputs = torch.randn(BATCH, CLASSES, dtype=torch.float64, generator=generator)
    return outputs, torch.arange(BATCH) % CLASSES


def test_gives_one_value_per_example_that_is_not_negative(loss, batch):
    losses = loss(*batch)
    assert losses.shape == (BATCH,)
    assert (losses >= 0).all()


def test_an_example_does_not_see_the_others(loss, batch):
    outputs, targets = batch
    alone = torch.cat([loss(outputs[i : i + 1], targets[i : i + 1]) for i in range(BATCH)])
    torch.testing.assert_close(loss(outputs, targets), alone)


def test_classes_may_be_renumbered(loss, batch):
    outputs, targets = batch
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(
        loss(outputs[:, order], torch.argsort(order)[targets]), loss(outputs, targets)
    )


def test_gradient_is_that_of_finite_differences(loss, batch):
    outputs, targets = batch
    assert torch.autograd.gradcheck(
        lambda x: loss(x, targets), outputs.requires_grad_(), check_forward_ad=False
    )


def test_is_convex_in_the_outputs(loss, batch):
    outputs, targets = batch
    other = outputs.flip(0) * 3
    middle = loss(0.3 * outputs + 0.7 * other, targets)
    assert (middle <= 0.3 * loss(outputs, targets) + 0.7 * loss(other, targets) + 1e-12).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_sixteen_bits_are_taken_to_float32_first(loss, batch, dtype):
    outputs, targets = batch[0].to(dtype), batch[1]
    found = loss(outputs, targets)
    assert found.dtype == torch.float32
    assert torch.equal(found, loss(outputs.float(), targets))


@pytest.mark.parametrize("dtype", [torch.int32, torch.uint8])
def test_smaller_integers_are_class_numbers_too(loss, batch, dtype):
    outputs, targets = batch
    assert torch.equal(loss(outputs, targets.to(dtype)), loss(outputs, targets))


def test_targets_that_are_no_class_numbers_are_refused(loss, batch):
    outputs, targets = batch
    with pytest.raises(ArgumentError):
        loss(outputs, targets[:, None])
    with pytest.raises(ArgumentError):
        loss(outputs, targets.to(torch.complex64))


def test_is_a_value(loss):
    assert loss == type(loss)()
    assert isinstance(loss.citation, str)
