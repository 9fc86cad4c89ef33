import pytest
import torch
from scipy.ndimage import gaussian_filter

from wellposed.perturb import Blur
from wellposed.perturb._blur import smoothed


def random(height=17, width=12):
    generator = torch.Generator().manual_seed(0)
    return torch.rand(2, 3, height, width, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize("severity", [1, 3, 5])
def test_is_the_filter_of_scipy(severity):
    x = random()
    deviation = Blur.scale[severity - 1] * 12  # the shorter side
    right = gaussian_filter(x.numpy(), deviation, axes=(2, 3), mode="nearest")
    torch.testing.assert_close(Blur(severity)(x), torch.from_numpy(right), rtol=0, atol=1e-12)


def test_keeps_a_constant():
    x = torch.full((1, 1, 9, 9), 0.3, dtype=torch.float64)
    torch.testing.assert_close(Blur(5)(x), x, rtol=0, atol=1e-14)


def test_two_blurs_are_one_of_the_summed_variance():
    x = torch.zeros(1, 1, 61, 61, dtype=torch.float64)
    x[..., 30, 30] = 1
    twice = smoothed(smoothed(x, 3.0), 4.0)
    torch.testing.assert_close(twice, smoothed(x, 5.0), rtol=0, atol=1e-5)  # the cut tails


def test_is_that_of_kornia():
    filters = pytest.importorskip("kornia.filters")
    x = random()
    theirs = filters.gaussian_blur2d(x, (9, 9), (1.0, 1.0), border_type="replicate")
    torch.testing.assert_close(smoothed(x, 1.0), theirs, rtol=0, atol=1e-9)
