"""Rows of integers, such as tokens, as numbers that a linear model can use."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def counted(values: Tensor, size: int) -> NDArray[np.float64]:
    """How often each number below `size` stands in each row, shape (n, size).

    Args:
        values: Integers of any type from 0 to size - 1, shape (n, ...).
        size: One more than the largest that is counted.
    """
    rows = values.flatten(1).long().cpu()
    counts = torch.zeros(len(rows), size, dtype=torch.float64)
    return counts.scatter_add_(1, rows, torch.ones_like(rows, dtype=torch.float64)).numpy()
