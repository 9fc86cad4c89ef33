"""The nearest training input of each query, by correlation of entries."""

from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from wellposed.audit._scan import Scan, blocks
from wellposed.audit._subject import Subject

_SIDE = 32  # pictures are compared at no more than 32 x 32
FEWEST = 64
"""With fewer numbers per input, high correlations are common and mean nothing."""


@final
@dataclass(frozen=True)
class Nearest:
    """The nearest training input that is not equal to the query.

    Args:
        correlation: With it, in [-1, 1].
        place: Its place in the training scan.
    """

    correlation: NDArray[np.float64]
    place: NDArray[np.int64]


def unit_rows(inputs: Tensor) -> Tensor:
    """Each input with mean 0 and length 1, reduced to 32 x 32 where it is a larger picture.

    The product of two rows is the correlation of their entries: brightness and contrast cancel.
    """
    if inputs.dim() == 4 and max(inputs.shape[2:]) > _SIDE:
        height, width = (min(_SIDE, side) for side in inputs.shape[2:])
        inputs = adaptive_avg_pool2d(inputs.float(), (height, width))
    rows = inputs.float().flatten(1)
    rows = rows - rows.mean(1, keepdim=True)
    length = rows.norm(dim=1, keepdim=True)
    return torch.where(length > 1e-6, rows / length.clamp_min(1e-6), 0.0).nan_to_num(0.0)


def nearest(subject: Subject, queries: Tensor, digests: list[bytes], train: Scan) -> Nearest:
    """For each query the training input of the highest correlation, equal ones left out.

    By products of blocks of matrices; every training input is read once.

    Args:
        subject: Whose training part.
        queries: Rows of `unit_rows`.
        digests: Of the queries, as in a scan.
        train: Scan of the training part.

    Cost: 2 * queries * training inputs * entries operations.
    """
    same: dict[bytes, list[int]] = {}
    wanted = set(digests)
    for place, digest in enumerate(train.digests):
        if digest in wanted:
            same.setdefault(digest, []).append(place)
    pairs = [(q, place) for q, digest in enumerate(digests) for place in same.get(digest, ())]
    equal = torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2)
    best = torch.full((len(queries),), -2.0)
    where = torch.zeros(len(queries), dtype=torch.int64)
    begin = 0
    for inputs, _ in blocks(subject, "train", train.rows):
        scores = queries @ unit_rows(inputs).T
        end = begin + len(inputs)
        here = equal[(equal[:, 1] >= begin) & (equal[:, 1] < end)]
        scores[here[:, 0], here[:, 1] - begin] = -2.0
        most, at = scores.max(1)
        better = most > best
        best = torch.where(better, most, best)
        where = torch.where(better, at + begin, where)
        begin = end
    return Nearest(best.double().numpy(), where.numpy())
