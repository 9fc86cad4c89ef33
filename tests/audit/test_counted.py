import numpy as np
import pytest
import torch

from wellposed.audit._counted import counted


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.int64])
def test_it_counts_as_numpy_does(dtype):
    values = torch.randint(7, (5, 3, 4), generator=torch.Generator().manual_seed(0)).to(dtype)
    right = [np.bincount(row.flatten(), minlength=9) for row in values.numpy()]
    assert counted(values, 9).tolist() == np.stack(right).tolist()
