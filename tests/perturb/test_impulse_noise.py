import pytest
import torch

from wellposed.perturb import ImpulseNoise


@pytest.mark.parametrize("severity", [1, 3, 5])
def test_hits_its_share_of_the_pixels_in_all_channels(severity):
    x = torch.full((50, 3, 16, 16), 0.5)
    y = ImpulseNoise(severity)(x, (-1.0, 1.0))
    low, high = (y == -1).double().mean(), (y == 1).double().mean()
    share = ImpulseNoise.scale[severity - 1]
    slack = 4 * (share / 2 / (50 * 16 * 16)) ** 0.5
    assert low == pytest.approx(share / 2, abs=slack)
    assert high == pytest.approx(share / 2, abs=slack)
    assert torch.equal(y[:, 0], y[:, 2])
    assert set(y.unique().tolist()) == {-1, 0.5, 1}
