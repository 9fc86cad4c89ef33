import pytest
import torch

from wellposed.data import Cutout, Elastic, Flip, Rotation, Shift
from wellposed.errors import ArgumentError

ALL = [Shift(2), Flip(), Cutout(3), Rotation(15), Elastic(1.0, 3.0)]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def batch(n=64, channels=2, height=7, width=9):
    return torch.rand(n, channels, height, width, generator=generator(9))


@pytest.mark.parametrize("augmentation", ALL, ids=lambda a: type(a).__name__)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_contract(augmentation, dtype, layout):
    x = batch().to(dtype).contiguous(memory_format=layout)
    before = x.clone()
    torch.manual_seed(3)
    state = torch.get_rng_state()
    first = augmentation(x, generator())
    assert first.shape == x.shape
    assert first.dtype == dtype
    assert torch.equal(x, before)  # a new tensor
    assert torch.equal(first, augmentation(x, generator()))  # the generator decides
    assert not torch.equal(first, augmentation(x, generator(1)))
    assert torch.equal(torch.get_rng_state(), state)  # and nothing global
    assert len({tuple(one.flatten().tolist()) for one in first - x}) > 1  # each by its own draw
    assert first.isfinite().all()


@pytest.mark.parametrize("augmentation", ALL, ids=lambda a: type(a).__name__)
def test_the_layout_makes_no_difference(augmentation):
    a = augmentation(batch(), generator())
    b = augmentation(batch().contiguous(memory_format=torch.channels_last), generator())
    torch.testing.assert_close(a, b, rtol=0, atol=1e-6)


@pytest.mark.parametrize("augmentation", ALL, ids=lambda a: type(a).__name__)
def test_feature_vectors_are_refused(augmentation):
    with pytest.raises(ArgumentError, match="leave it out for feature vectors"):
        augmentation(torch.zeros(3, 4), generator())


@pytest.mark.parametrize(
    "strengthless",
    [Shift(0), Flip(0.0), Rotation(0.0), Elastic(0.0)],
    ids=lambda a: type(a).__name__,
)
def test_no_strength_no_change(strengthless):
    torch.testing.assert_close(strengthless(batch(), generator()), batch(), rtol=0, atol=1e-5)


def test_shift_moves_by_whole_pixels_and_repeats_the_border():
    x = batch(n=400, channels=1, height=6, width=6)
    padded = torch.nn.functional.pad(x, (2, 2, 2, 2), mode="replicate")
    seen = set()
    for one, wide in zip(Shift(2)(x, generator()), padded, strict=True):
        places = [
            (dy, dx)
            for dy in range(5)
            for dx in range(5)
            if torch.equal(wide[:, dy : dy + 6, dx : dx + 6], one)
        ]
        assert len(places) == 1
        seen.update(places)
    assert len(seen) == 25


def test_shift_moves_all_channels_together():
    x = batch(channels=1).expand(-1, 3, -1, -1)
    moved = Shift(3)(x, generator())
    assert torch.equal(moved[:, 0], moved[:, 2])


def test_flip_mirrors_with_its_probability():
    x = batch(n=2000, height=2, width=3)
    found = Flip(0.3)(x, generator())
    mirrored = (found == x.flip(3)).flatten(1).all(1)
    assert ((found == x).flatten(1).all(1) | mirrored).all()
    assert abs(mirrored.float().mean() - 0.3) < 0.04
    assert torch.equal(Flip(1.0)(x, generator()), x.flip(3))


def test_cutout_zeroes_one_square_around_a_uniform_center():
    x = torch.ones(3000, 2, 8, 8)
    found = Cutout(3)(x, generator())
    assert torch.equal(found[:, 0], found[:, 1])
    hole = found[:, 0] == 0
    rows, columns = hole.any(2).sum(1), hole.any(1).sum(1)
    assert torch.equal(hole.sum((1, 2)), rows * columns)  # a rectangle
    assert set(rows.tolist()) == {2, 3}  # cut at the border, where the center may lie
    share = hole.float().mean(0)
    expected = torch.tensor([2, 3, 3, 3, 3, 3, 3, 2]) / 8  # chance that a row is covered
    torch.testing.assert_close(share, torch.outer(expected, expected), rtol=0, atol=0.04)


@pytest.mark.parametrize("size", [1, 2, 20])
def test_cutout_of_any_size(size):
    x = torch.ones(50, 1, 8, 8)
    zeros = (Cutout(size)(x, generator()) == 0).sum((1, 2, 3))
    assert zeros.max() == min(size, 8) ** 2
    assert zeros.min() >= 1


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (lambda: Shift(-1), "pixels >= 0"),
        (lambda: Flip(1.5), "probability in"),
        (lambda: Flip(float("nan")), "probability in .*nan"),
        (lambda: Cutout(0), "at least 1 pixel"),
    ],
)
def test_refuses_settings_out_of_range(settings, sentence):
    with pytest.raises(ArgumentError, match=sentence):
        settings()
