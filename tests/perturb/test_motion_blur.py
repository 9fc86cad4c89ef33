from math import pi

import pytest
import torch
from scipy.ndimage import uniform_filter1d

from wellposed.perturb import MotionBlur
from wellposed.perturb._motion_blur import moved


def test_along_an_axis_is_the_moving_average_of_scipy():
    x = torch.rand(1, 2, 15, 11, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for angle, axis in ((0.0, 3), (pi / 2, 2)):
        ours = moved(x, 5.0, torch.tensor([angle], dtype=x.dtype))
        right = uniform_filter1d(x.numpy(), 5, axis=axis, mode="nearest")
        torch.testing.assert_close(ours, torch.from_numpy(right), rtol=0, atol=1e-12)


def test_keeps_what_does_not_change_along_the_line():
    at = torch.arange(20, dtype=torch.float64)
    x = ((at[:, None] + at) / 38).expand(1, 1, 20, 20)
    still = moved(x, 6.0, torch.tensor([-pi / 4], dtype=x.dtype))
    inner = (..., slice(5, 15), slice(5, 15))
    torch.testing.assert_close(still[inner], x[inner], rtol=0, atol=1e-12)


def test_has_its_length():
    x = torch.zeros(200, 1, 51, 51, dtype=torch.float64)
    x[..., 25, 25] = 1
    y = MotionBlur(5)(x)[:, 0]
    at = torch.arange(51, dtype=torch.float64) - 25
    spread = (y * (at[:, None] ** 2 + at**2)).sum((1, 2)) / y.sum((1, 2))
    line = (0.24 * 51) ** 2 / 12  # the variance of a line; bilinear reading adds less than 1/2
    assert (spread > line - 0.1).all()
    assert (spread < line + 0.6).all()


def test_large_images_are_read_at_fewer_points():
    x = torch.zeros(1, 1, 128, 128, dtype=torch.float64)
    x[..., 64, 64] = 1
    y = moved(x, 8.0, torch.zeros(1, dtype=x.dtype))
    # Four pieces of 2 pixels: their midpoints are 1 and 3 pixels to each side.
    assert y[0, 0, 64].nonzero().view(-1).tolist() == [61, 63, 65, 67]
    assert y.sum() == 1


def test_along_a_diagonal_is_that_of_kornia():
    geometry = pytest.importorskip("kornia.geometry")
    x = torch.rand(1, 2, 21, 21, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    ours = moved(x, 5.0, torch.tensor([pi / 4], dtype=x.dtype))
    steps = torch.arange(-2.0, 3.0, dtype=x.dtype) / 2**0.5
    moves = [torch.stack([-s, -s])[None] for s in steps]
    theirs = sum(
        geometry.translate(x, by, padding_mode="border", align_corners=True) for by in moves
    )
    torch.testing.assert_close(ours, theirs / 5, rtol=0, atol=1e-12)
