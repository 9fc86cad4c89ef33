import pytest
import torch

from wellposed.perturb import Contrast


@pytest.mark.parametrize("severity", [1, 2, 3, 4, 5])
def test_keeps_the_mean_of_an_image_and_scales_its_deviation(severity):
    x = torch.rand(5, 3, 7, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    y = Contrast(severity)(x)
    torch.testing.assert_close(y.mean((1, 2, 3)), x.mean((1, 2, 3)), rtol=0, atol=1e-12)
    right = Contrast.scale[severity - 1] * x.std((1, 2, 3))
    torch.testing.assert_close(y.std((1, 2, 3)), right, rtol=1e-12, atol=0)


def test_a_constant_image_stays():
    x = torch.full((2, 1, 4, 4), 0.25)
    assert torch.equal(Contrast(5)(x), x)


def test_is_that_of_kornia():
    enhance = pytest.importorskip("kornia.enhance")
    x = torch.rand(4, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    theirs = enhance.adjust_contrast_with_mean_subtraction(x, 0.4)
    torch.testing.assert_close(Contrast(3)(x), theirs, rtol=0, atol=1e-12)
