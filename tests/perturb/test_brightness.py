import pytest
import torch

from wellposed.perturb import Brightness


def test_adds_its_share_of_the_range_either_way_and_clips():
    x = torch.linspace(0, 1, 6).expand(300, 1, 1, 6)
    change = (Brightness(2)(10 * x - 5, (-5.0, 5.0)) + 5) / 10
    more = change[:, 0, 0, 2] > 0.4
    right = torch.where(more[:, None, None, None], x + 0.16, x - 0.16).clamp(0, 1)
    torch.testing.assert_close(change, right, rtol=0, atol=1e-6)
    assert 100 < more.sum() < 200


def test_takes_images_of_one_pixel():
    assert Brightness(1)(torch.rand(4, 3, 1, 1)).shape == (4, 3, 1, 1)


def test_is_that_of_kornia():
    enhance = pytest.importorskip("kornia.enhance")
    x = torch.rand(60, 3, 5, 6, generator=torch.Generator().manual_seed(0))
    ours = Brightness(3)(x)
    up = (ours - x).mean((1, 2, 3)) > 0
    theirs = enhance.adjust_brightness(x, torch.where(up, 0.24, -0.24))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)
    assert 15 < up.sum() < 45
