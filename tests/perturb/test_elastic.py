import pytest
import torch

from wellposed.perturb import Elastic
from wellposed.perturb._elastic import displaced
from wellposed.perturb._sampling import centers


def test_without_displacement_is_the_identity():
    x = torch.rand(2, 3, 9, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    still = torch.zeros(2, 9, 12, dtype=torch.float64)
    torch.testing.assert_close(displaced(x, still, still), x, rtol=0, atol=1e-12)


def test_a_constant_displacement_is_a_shift():
    x = torch.rand(1, 1, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    one = torch.ones(1, 6, 6, dtype=torch.float64)
    y = displaced(x, one, 0 * one)
    torch.testing.assert_close(y[..., :-1, :], x[..., 1:, :], rtol=0, atol=1e-12)


@pytest.mark.parametrize("severity", [1, 5])
def test_has_its_displacement_at_every_pixel_and_is_smooth(severity):
    side = 24
    rows, columns = centers(torch.empty(1, 1, side, side, dtype=torch.float64))
    x = torch.stack(torch.broadcast_tensors(rows, columns)) / side + 0.5
    field = Elastic(severity)(x.expand(1500, 2, side, side)) - x
    inside = field[..., 8:16, 8:16]  # near the border, displaced pixels are cut off
    rms = inside.square().mean(0).sqrt()
    torch.testing.assert_close(
        rms, torch.full_like(rms, Elastic.scale[severity - 1]), rtol=0.1, atol=0
    )
    rough = (inside[..., 1:, :] - inside[..., :-1, :]).square().mean().sqrt()
    # A field smoothed by a Gaussian of deviation s has the correlation exp(-d^2 / (4 s^2)).
    right = float(rms.mean()) / (2**0.5 * 0.12 * side)
    assert float(rough) == pytest.approx(right, rel=0.1)


def test_is_that_of_kornia_inside():
    transform = pytest.importorskip("kornia.geometry.transform")
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(2, 3, 11, 15, dtype=torch.float64, generator=generator)
    down, across = 2 * torch.rand(2, 2, 11, 15, dtype=torch.float64, generator=generator) - 1
    rows, columns = torch.meshgrid(torch.arange(11.0), torch.arange(15.0), indexing="ij")
    theirs = transform.remap(
        x, columns + across, rows + down, padding_mode="border", align_corners=True
    )
    torch.testing.assert_close(displaced(x, down, across), theirs, rtol=0, atol=1e-12)
