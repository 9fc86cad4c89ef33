"""Seeded, stratified splits."""

import numpy as np
import torch
from jaxtyping import Int64
from sklearn.model_selection import train_test_split
from torch import Tensor

from wellposed.data._seed import derived_seed
from wellposed.errors import DataError, require


def stratified_split(
    targets: Int64[Tensor, " n"], fraction: float, seed: int
) -> tuple[Int64[Tensor, " rest"], Int64[Tensor, " taken"]]:
    """Row numbers of two disjoint parts with equal shares of every class, each in rising order.

    Args:
        targets: Class numbers, shape (n,).
        fraction: Share of the second part, in (0, 1).
        seed: The same seed gives the same parts.

    Raises:
        DataError: If a class has fewer than two examples or a part would miss a class.
    """
    require(0 < fraction < 1, f"a part's share must lie between 0 and 1, got {fraction:g}")
    found, counts = torch.unique(targets, return_counts=True)
    n, classes = len(targets), len(found)
    taken = int(np.ceil(fraction * n))
    if int(counts.min()) < 2 or taken < classes or n - taken < classes:
        raise DataError(
            f"{n} examples of {classes} classes (the rarest has {int(counts.min())}) cannot be "
            f"split with a share of {fraction:g}; each part needs every class: give more "
            f"examples, or another share, or 0 for no such part"
        )
    rest, part = train_test_split(
        np.arange(n),
        test_size=taken,
        random_state=derived_seed(seed) % 2**32,
        stratify=targets.numpy(),
    )
    return torch.from_numpy(np.sort(rest)), torch.from_numpy(np.sort(part))
