"""What every network must do."""

import inspect
import re

import pytest
import torch
from torch import nn

from wellposed import models
from wellposed.errors import ArgumentError
from wellposed.recipe import public

MODELS = sorted(public(models, nn.Module).values(), key=lambda c: c.__name__)
IMAGES = [made for made in MODELS if made not in {models.Linear, models.MLP}]
SHAPES = [(1, 28, 28), (3, 32, 32), (3, 32, 24)]


def make(kind, shape=(1, 28, 28), classes=10, seed=0, **arguments):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return kind(shape=shape, classes=classes, **arguments)


def batch(shape=(1, 28, 28), size=4):
    return torch.randn(size, *shape, generator=torch.Generator().manual_seed(1))


def ids(kind):
    return kind.__name__


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("classes", [1, 10])
@pytest.mark.parametrize("kind", MODELS, ids=ids)
def test_gives_a_score_per_class(kind, shape, classes):
    outputs = make(kind, shape, classes)(batch(shape))
    assert outputs.shape == (4, classes)
    assert outputs.isfinite().all()


@pytest.mark.parametrize("kind", MODELS, ids=ids)
def test_examples_do_not_see_each_other_in_eval_mode(kind):
    model, inputs = make(kind).eval(), batch()
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(model(inputs[order]), model(inputs)[order])
    torch.testing.assert_close(model(inputs[:1]), model(inputs)[:1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", MODELS, ids=ids)
def test_channels_last_changes_nothing_but_rounding(kind):
    model, inputs = make(kind).eval(), batch()
    right = model(inputs)
    model.to(memory_format=torch.channels_last)
    found = model(inputs.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(found, right, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", MODELS, ids=ids)
def test_trains_under_bf16_autocast_in_channels_last(kind):
    model = make(kind).to(memory_format=torch.channels_last)
    inputs = batch().bfloat16().contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        outputs = model(inputs)
    outputs.float().logsumexp(1).sum().backward()
    assert outputs.dtype == torch.bfloat16
    trained = [p for p in model.parameters() if p.requires_grad]
    assert all(p.grad is not None and p.grad.isfinite().all() for p in trained)
    assert all(p.grad.dtype == torch.float32 for p in trained)


@pytest.mark.parametrize("kind", MODELS, ids=ids)
def test_in_16_bits_scores_stay_near(kind):
    model, inputs = make(kind).eval(), batch()
    with torch.autocast("cpu", torch.bfloat16):
        found = model(inputs).float()
    right = model(inputs)
    assert (found - right).norm() < 0.03 * right.norm()


@pytest.mark.parametrize("kind", MODELS, ids=ids)
def test_equal_seeds_give_equal_weights(kind):
    one, same, other = make(kind, seed=3), make(kind, seed=3), make(kind, seed=4)
    pairs = zip(one.parameters(), same.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    assert not all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("kind", MODELS, ids=ids)
def test_one_step_of_descent_descends(kind):
    arguments = {"dropout": 0.0} if "dropout" in inspect.signature(kind).parameters else {}
    model, inputs, targets = make(kind, **arguments), batch(size=16), torch.arange(16) % 10
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=1e-3)
    before = nn.functional.cross_entropy(model(inputs), targets)
    before.backward()
    optimizer.step()
    assert nn.functional.cross_entropy(model(inputs), targets) < before


@pytest.mark.parametrize("kind", IMAGES, ids=ids)
def test_what_is_no_image_is_refused(kind):
    for shape in ((784,), (28, 28), (1, 1, 28, 28)):
        with pytest.raises(ArgumentError, match=rf"{kind.__name__} needs images .*MLP take any"):
            kind(shape=shape, classes=10)


@pytest.mark.parametrize("kind", IMAGES, ids=ids)
def test_images_that_are_too_small_are_refused_and_the_smallest_work(kind):
    smallest = int(re.search(r"at least (\d+) x \1", kind.__doc__)[1])
    for side in range(1, smallest):
        with pytest.raises(ArgumentError, match=f"{smallest} pixels, got {side} x {side + 1}"):
            kind(shape=(1, side, side + 1), classes=3)
    for side in range(smallest, 33):
        model = kind(shape=(1, side, side + 1), classes=3).eval()
        assert model(torch.zeros(1, 1, side, side + 1)).shape == (1, 3)


@pytest.mark.parametrize("kind", MODELS, ids=ids)
def test_empty_shapes_and_no_classes_are_refused(kind):
    with pytest.raises(ArgumentError, match="got"):
        kind(shape=(), classes=10)
    with pytest.raises(ArgumentError, match="shape of one input"):
        kind(shape=(0, 28, 28), classes=10)
    with pytest.raises(ArgumentError, match="at least one class, got classes=0"):
        kind(shape=(1, 28, 28), classes=0)


@pytest.mark.parametrize("kind", MODELS, ids=ids)
def test_cites_its_source(kind):
    assert isinstance(kind.citation, str)
    assert kind.citation == "" or kind.citation.startswith("@")
    assert bool(kind.citation) == ("References:" in inspect.getdoc(kind))
