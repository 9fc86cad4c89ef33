from math import pi

import pytest
import torch

from wellposed.perturb import Rotation
from wellposed.perturb._rotation import turned


@pytest.mark.parametrize("quarters", [-1, 0, 1, 2])
@pytest.mark.parametrize("side", [6, 7])
def test_by_right_angles_is_rot90(quarters, side):
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(2, 3, side, side, dtype=torch.float64, generator=generator)
    angle = torch.full((2,), quarters * pi / 2, dtype=torch.float64)
    right = torch.rot90(x, quarters, (2, 3))
    torch.testing.assert_close(turned(x, angle), right, rtol=0, atol=1e-12)


def test_turns_by_its_degrees_either_way():
    side = 33
    y = torch.arange(side, dtype=torch.float64) - 16
    x = torch.stack(torch.meshgrid(y, y, indexing="ij")).expand(200, 2, side, side)
    turn = Rotation(4)((x + 16) / 32)[..., 10:23, 10:23] * 32 - 16
    rows, columns = x[..., 10:23, 10:23].unbind(1)
    sine = ((turn[:, 0] * columns - turn[:, 1] * rows).sum((1, 2))) / (rows**2 + columns**2).sum(
        (1, 2)
    )
    degrees = torch.rad2deg(torch.asin(sine))
    torch.testing.assert_close(degrees.abs(), torch.full_like(degrees, 25.0), rtol=0, atol=1e-9)
    assert 60 < (degrees > 0).sum() < 140


def test_is_that_of_kornia_inside():
    geometry = pytest.importorskip("kornia.geometry")
    x = torch.rand(3, 2, 21, 21, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    degrees = torch.tensor([20.0, -35.0, 3.0], dtype=torch.float64)
    theirs = geometry.rotate(x, degrees, padding_mode="border", align_corners=True)
    ours = turned(x, torch.deg2rad(degrees))
    torch.testing.assert_close(ours[..., 6:15, 6:15], theirs[..., 6:15, 6:15], rtol=0, atol=1e-9)
