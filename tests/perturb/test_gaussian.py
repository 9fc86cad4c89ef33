import pytest
import torch
from scipy.ndimage import gaussian_filter1d

from wellposed.perturb._gaussian import gaussian

LIKE = torch.empty(0, dtype=torch.float64)


@pytest.mark.parametrize("deviation", [0.1, 0.5, 1.7, 6.0])
@pytest.mark.parametrize("length", [1, 2, 9, 30])
def test_is_the_filter_of_scipy_with_a_repeated_border(deviation, length):
    line = torch.rand(length, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    right = gaussian_filter1d(line.numpy(), deviation, mode="nearest")
    ours = gaussian(LIKE, length, deviation) @ line
    torch.testing.assert_close(ours, torch.from_numpy(right), rtol=0, atol=1e-12)


def test_rows_sum_to_1():
    sums = gaussian(LIKE, 12, 3.0).sum(1)
    torch.testing.assert_close(sums, torch.ones(12, dtype=torch.float64), rtol=0, atol=1e-14)
