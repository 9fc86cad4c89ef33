"""Does a network know the labels? Its hits, among those under other names of the classes."""

from dataclasses import dataclass
from itertools import permutations
from math import factorial
from typing import final

import numpy as np
import torch

RENAMINGS = 9999


@final
@dataclass(frozen=True, slots=True)
class Renamed:
    """How often a renaming of the classes gives as many hits.

    Args:
        hits: With the classes' own names.
        examples: Judged.
        as_good: Renamings with at least as many hits, the classes' own names among them.
        renamings: All that were tried.
        all_of_them: Whether there are no others.
    """

    hits: int
    examples: int
    as_good: int
    renamings: int
    all_of_them: bool

    @property
    def p(self) -> float:
        """The probability of as many hits, if the network has never seen these labels."""
        return self.as_good / self.renamings


def renamed(table: np.ndarray, generator: torch.Generator) -> Renamed:
    """Count the renamings of the classes with as many hits as their own names.

    Args:
        table: How often class j was called i, shape (classes, classes).
        generator: Of random renamings, where there are too many to try all.
    """
    classes = len(table)
    own = int(np.trace(table))
    few = factorial(classes) <= RENAMINGS + 1
    if few:
        names = np.array(list(permutations(range(classes))))
    else:
        drawn = [torch.randperm(classes, generator=generator).numpy() for _ in range(RENAMINGS)]
        names = np.stack([np.arange(classes), *drawn])
    hits = table[names, np.arange(classes)].sum(1)
    return Renamed(own, int(table.sum()), int((hits >= own).sum()), len(names), few)
