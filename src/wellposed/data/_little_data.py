"""Less data and worse labels than a source has, on purpose: where methods show differences."""

import torch
from jaxtyping import Int64
from torch import Tensor

from wellposed.data._examples import Examples
from wellposed.errors import require


def few(part: Examples, n: int, seed: int) -> Examples:
    """So many examples of a part, with its shares of the classes, in its order.

    The k-th example of a class of m, in random order, has the rank (k - 1/2) / m; the n smallest
    ranks are kept. n must be at least the number of classes and at most that of the examples.

    Args:
        part: The examples to choose from; their inputs are not copied.
        n: How many are kept.
        seed: The same seed keeps the same ones.
    """
    found, counts = torch.unique(part.targets, return_counts=True)
    require(
        len(found) <= n <= len(part),
        f"examples={n} was asked for; the train part has {len(part)} of {len(found)} classes, so "
        f"it must be from {len(found)} to {len(part)}",
    )
    if n == len(part):
        return part
    order = torch.randperm(len(part), generator=torch.Generator().manual_seed(seed))
    rank = torch.empty(len(part), dtype=torch.float64)
    for label, count in zip(found, counts, strict=True):
        rows = order[part.targets[order] == label]
        rank[rows] = (torch.arange(len(rows), dtype=torch.float64) + 0.5) / count
    kept = order[rank[order].argsort(stable=True)[:n]]
    return part.select(kept.sort().values)


def mislabeled(part: Examples, share: float, classes: int, seed: int) -> Examples:
    """The examples, a share of which have the label of another class, each other one as likely.

    The share must be in [0, 1), and there must be another class.

    Args:
        part: The examples; their inputs are not copied.
        share: So many labels, rounded, are wrong: not on average, but exactly.
        classes: How many classes there are, at least 2.
        seed: The same seed makes the same labels wrong in the same way.
    """
    require(
        0 <= share < 1,
        f"the share of wrong labels must lie in [0, 1), got wrong_labels={share:g}; try 0.2",
    )
    count = round(share * len(part))
    if count == 0:
        return part
    require(classes >= 2, f"wrong_labels={share:g} needs a second class, and there is only one")
    return part.relabeled(_wrong(part.targets, count, classes, seed))


def _wrong(
    targets: Int64[Tensor, " n"], count: int, classes: int, seed: int
) -> Int64[Tensor, " n"]:
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randperm(len(targets), generator=generator)[:count]
    moved = torch.randint(1, classes, (count,), generator=generator)
    targets = targets.clone()
    targets[rows] = (targets[rows] + moved) % classes
    return targets
