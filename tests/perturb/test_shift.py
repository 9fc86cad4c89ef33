import pytest
import torch
from torch.nn.functional import pad

from wellposed.perturb import Shift
from wellposed.perturb._shift import shifted


def test_is_a_roll_of_the_padded_image():
    x = torch.rand(1, 2, 7, 5, generator=torch.Generator().manual_seed(0))
    wide = pad(x, (9, 9, 9, 9), mode="replicate")
    for down in (-8, -1, 0, 3):
        for across in (-3, 0, 8):
            right = wide.roll((down, across), (2, 3))[:, :, 9:-9, 9:-9]
            ours = shifted(x, torch.tensor([down]), torch.tensor([across]))
            assert torch.equal(ours, right)


def test_goes_its_distance_in_all_8_directions_equally_often():
    x = torch.zeros(4000, 1, 25, 41)
    x[:, :, 12, 20] = 1
    at = Shift(5)(x).flatten(2).argmax(2).view(-1)
    down, across = at // 41 - 12, at % 41 - 20
    assert set(down.tolist()) == {-5, 0, 5}  # a fifth of 25 rows
    assert set(across.tolist()) == {-8, 0, 8}  # and of 41 columns
    _, counts = torch.stack([down, across]).unique(dim=1, return_counts=True)
    assert len(counts) == 8
    assert (counts - 500).abs().max() < 4 * 500**0.5


def test_is_at_least_one_pixel():
    x = torch.zeros(8, 1, 3, 3)
    x[:, :, 1, 1] = 1
    assert (Shift(1)(x)[:, 0, 1, 1] == 0).all()


def test_is_that_of_kornia():
    geometry = pytest.importorskip("kornia.geometry")
    x = torch.rand(3, 2, 7, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    down, across = torch.tensor([2, -3, 0]), torch.tensor([-1, 4, 6])
    by = torch.stack([across, down], 1).to(x.dtype)
    theirs = geometry.translate(x, by, padding_mode="border", align_corners=True)
    torch.testing.assert_close(shifted(x, down, across), theirs, rtol=0, atol=1e-12)
