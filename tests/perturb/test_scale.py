import pytest
import torch

from wellposed.perturb import Scale
from wellposed.perturb._sampling import centers
from wellposed.perturb._scale import magnified


def random(n=2, height=10, width=8):
    generator = torch.Generator().manual_seed(0)
    return torch.rand(n, 1, height, width, dtype=torch.float64, generator=generator)


def test_by_1_is_the_identity():
    x = random()
    torch.testing.assert_close(magnified(x, torch.ones(2, dtype=x.dtype)), x, rtol=0, atol=1e-12)


def test_by_one_third_takes_every_third_pixel_of_the_middle():
    x = random(1, 9, 9)
    y = magnified(x, torch.tensor([1 / 3], dtype=x.dtype))
    torch.testing.assert_close(y[..., 3:6, 3:6], x[..., 1::3, 1::3], rtol=0, atol=1e-12)


def test_magnifies_a_ramp_by_its_factor_or_shrinks_it():
    rows, columns = centers(random(200, 40, 40))
    x = ((rows + 0 * columns) / 39 + 0.5).expand(200, 1, 40, 40)
    slope = (Scale(5)(x)[..., 21, 20] - Scale(5)(x)[..., 20, 20]).view(-1) * 39
    near = slope < 1
    torch.testing.assert_close(slope[near], torch.full_like(slope[near], 1 / 1.55))
    torch.testing.assert_close(slope[~near], torch.full_like(slope[~near], 1.55))
    assert 60 < near.sum() < 140


def test_is_that_of_kornia_inside():
    geometry = pytest.importorskip("kornia.geometry")
    x = random(1, 21, 21)
    factor = torch.tensor([1.3], dtype=x.dtype)
    theirs = geometry.scale(x, factor[:, None], padding_mode="border", align_corners=True)
    torch.testing.assert_close(magnified(x, factor), theirs, rtol=0, atol=1e-9)
