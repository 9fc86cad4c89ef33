import pytest
import torch

from wellposed.errors import ArgumentError
from wellposed.perturb import Clutter
from wellposed.perturb._clutter import background

RANGE = (0.0, 1.0)


def discs(n=30, side=20):
    """A disc of its own gray on black, in the middle."""
    at = torch.arange(side) - (side - 1) / 2
    disc = (at[:, None] ** 2 + at**2) < (side / 4) ** 2
    return torch.where(disc, torch.linspace(0.3, 1, n)[:, None, None, None], 0), disc


def test_leaves_the_object_alone_and_shows_others_behind_it():
    x, disc = discs()
    y = Clutter(5)(x)
    assert torch.equal(y[..., disc], x[..., disc])
    # The others' discs, moved by half the size, lie in the corners: four quarters of one gray.
    corners = torch.stack([y[:, 0, 0, 0], y[:, 0, 0, -1], y[:, 0, -1, 0], y[:, 0, -1, -1]])
    assert (corners > 0).all()
    assert (corners == corners[0]).all()
    assert (corners[0] != x[:, 0, 10, 10]).all(), "an image is not its own clutter"


def test_shows_its_share_of_the_cells_and_more_of_the_same_as_severity_grows():
    n, side = 400, 20
    x = torch.zeros(n, 1, side, side)
    x[::2] = 0.5  # every second image is another ground, so that half of the clutter can be seen
    before = None
    for severity, share in enumerate(Clutter.scale, 1):
        shown = Clutter(severity)(x) != x
        seen = shown.flatten(1).double().mean(1)
        two_colors = seen[seen > 0]
        assert two_colors.mean() == pytest.approx(share, abs=0.06)
        if before is not None:
            assert (shown | ~before).all()
        before = shown


def test_the_background_is_what_has_the_borders_color():
    x, disc = discs(3)
    assert torch.equal(background(x, RANGE), (~disc).expand(3, -1, -1))
    assert torch.equal(background(8 * x - 4, (-4.0, 4.0)), (~disc).expand(3, -1, -1))


def test_without_a_plain_background_the_middle_is_left_alone():
    x = torch.rand(3, 3, 40, 60, generator=torch.Generator().manual_seed(0))
    behind = background(x, RANGE)
    assert not behind[:, 20, 30].any()
    assert behind[:, 0].all()
    assert behind.double().mean() == pytest.approx(1 - torch.pi * 0.75**2 / 4, abs=0.01)


def test_needs_another_image():
    with pytest.raises(ArgumentError, match="batch of 1; give more"):
        Clutter(1)(torch.rand(1, 1, 16, 16))
