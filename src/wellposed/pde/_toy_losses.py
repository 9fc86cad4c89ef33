"""Losses to look at: known everywhere, with valleys that relaxations treat differently."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np

from wellposed.pde._grid import Grid


@final
@dataclass(frozen=True, slots=True, eq=False)
class ToyLoss:
    """A loss of one or two variables, and where to look at it.

    Args:
        name: What a command calls it.
        title: What a figure calls it.
        function: From coordinates, one array per axis, to values.
        box: One (low, high) per axis: the part that is interesting.
        times: Times at which its relaxations differ well.
        beta: An inverse temperature that suits it.
    """

    name: str
    title: str
    function: Callable[..., np.ndarray]
    box: tuple[tuple[float, float], ...]
    times: tuple[float, ...]
    beta: float

    def grid(self, points: int, *, margin: float = 0.0) -> Grid:
        """A grid over the box, widened on every side by this share of its width.

        Args:
            points: Points of each axis, without the margin.
            margin: Share of the width that is added, at least 0.
        """
        more = round(margin * (points - 1))
        sides = []
        for low, high in self.box:
            h = (high - low) / (points - 1)
            sides.append((low - more * h, high + more * h, points + 2 * more))
        return Grid.box(*sides)

    def values(self, grid: Grid) -> np.ndarray:
        """The loss on a grid."""
        return np.asarray(self.function(*grid.points))


def _double_well(x: np.ndarray) -> np.ndarray:
    """Two valleys at about -1 and 1, the left one deeper."""
    return np.asarray((x**2 - 1) ** 2 + 0.3 * x)


def _rugged(x: np.ndarray) -> np.ndarray:
    """A bowl with ripples of two lengths."""
    return np.asarray(0.12 * x**2 + 0.3 * np.sin(4 * x + 0.6) + 0.16 * np.sin(11 * x) + 0.5)


def _two_valleys(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A bowl with a sharp valley, which is deepest, and a wide one."""
    sharp = np.exp(-((x + 1) ** 2 + (y - 0.6) ** 2) / (2 * 0.16**2))
    wide = np.exp(-((x - 0.8) ** 2 + (y + 0.4) ** 2) / (2 * 0.6**2))
    return np.asarray(1 + 0.05 * (x**2 + y**2) - 1.05 * sharp - 0.9 * wide)


TOY_LOSSES = {
    toy.name: toy
    for toy in (
        ToyLoss("double-well", "Double well", _double_well, ((-1.8, 1.8),), (0.03, 0.1, 0.3), 4.0),
        ToyLoss("rugged", "Rugged bowl", _rugged, ((-4.0, 4.0),), (0.02, 0.1, 0.4), 8.0),
        ToyLoss(
            "two-valleys",
            "A sharp and a wide valley",
            _two_valleys,
            ((-2.4, 2.4), (-1.8, 1.8)),
            (0.02, 0.08, 0.3),
            10.0,
        ),
    )
}
