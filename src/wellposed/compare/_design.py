"""Which runs a race consists of, and in which order they are made."""

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import final

from wellposed.recipe import Recipe


@final
@dataclass(frozen=True, slots=True)
class Entry:
    """One run of a race.

    Args:
        method: Its name in the recipe.
        seed: Fixes the split, the initial weights and the order of batches, for every method.
    """

    method: str
    seed: int

    @property
    def name(self) -> str:
        """Of its folder below the race's."""
        return str(PurePosixPath("runs", self.method, f"seed-{self.seed}"))


def design(recipe: Recipe) -> tuple[Entry, ...]:
    """All runs, seed by seed, the methods interleaved.

    Each seed is a block in which every method meets the same conditions, so a race that is cut
    short has complete blocks; within a block the order rotates, so that no method always runs
    first on a machine that is still cool, or last on one that has become busy.
    """
    methods = recipe.methods
    seeds = recipe.compare.seeds if recipe.compare else (recipe.seed,)
    return tuple(
        Entry(methods[(block + place) % len(methods)], seed)
        for block, seed in enumerate(seeds)
        for place in range(len(methods))
    )
