import pytest
import torch
from scipy.stats import kstest

from wellposed.perturb import Noise


@pytest.mark.parametrize("severity", [1, 2, 3])
def test_is_gaussian_of_its_deviation(severity):
    x = torch.full((20, 3, 16, 16), 3.0)
    noise = (Noise(severity)(x, (1.0, 5.0)) - x).flatten() / 4
    assert kstest(noise.numpy(), "norm", (0, Noise.scale[severity - 1])).pvalue > 0.01


def test_takes_images_of_one_pixel():
    assert Noise(5)(torch.rand(4, 3, 1, 1)).shape == (4, 3, 1, 1)
