"""Losses to look at: known everywhere, with valleys that relaxations treat differently."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np

from wellposed.errors import ArgumentError, require
from wellposed.pde._grid import Grid
from wellposed.pde._relaxed import Relaxed

_MARGINS = (0.25, 0.5, 1.0, 2.0, 4.0)
_LEAST = 9
_POINTS = 400_000  # of the widest grid


@final
@dataclass(frozen=True, slots=True, eq=False)
class ToyLoss:
    """A loss of one or two variables, and where to look at it.

    Args:
        name: What a command calls it.
        title: What a figure calls it.
        function: From coordinates, one array per axis, to values. It grows at most as a quadratic,
            so that its upper envelope exists for a while.
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
            points: Points of each axis, without the margin, at least 9.
            margin: Share of the width that is added, at least 0.
        """
        require(
            points >= _LEAST,
            f"a picture has at least {_LEAST} points along each axis, got points={points}; try 200",
        )
        more = round(margin * (points - 1))
        sides = []
        for low, high in self.box:
            h = (high - low) / (points - 1)
            sides.append((low - more * h, high + more * h, points + 2 * more))
        return Grid.box(*sides)

    def values(self, grid: Grid) -> np.ndarray:
        """The loss on a grid."""
        return np.asarray(self.function(*grid.points))

    def relaxed(self, solver: Callable[[np.ndarray, Grid], Relaxed], points: int) -> np.ndarray:
        """Its relaxation in the box, on a grid so wide that the edges do not matter there.

        Args:
            solver: From values and a grid to the relaxed loss, such as `heat` for some time.
            points: Points of each axis in the box.

        Raises:
            ArgumentError: If no grid is wide enough, or by the solver.
        """
        for margin in _MARGINS:
            grid = self.grid(points, margin=margin)
            if grid.points[0].size > _POINTS:
                break
            found = solver(self.values(grid), grid)
            edge = round(margin * (points - 1))
            box = (slice(edge, edge + points),) * len(self.box)
            if found.trusted[box].all():
                return found.values[box]
        raise ArgumentError(
            f"{self.name} cannot be relaxed for so long: what lies far outside the picture would "
            "decide; take a smaller t, or fewer points"
        )


def _double_well(x: np.ndarray) -> np.ndarray:
    """Two valleys at about -1 and 1, the left one deeper, between walls that grow as x^2."""
    return np.asarray((x**2 - 1) ** 2 / (1 + x**2) + 0.15 * x)


def _rugged(x: np.ndarray) -> np.ndarray:
    """A bowl with ripples of two lengths."""
    return np.asarray(0.12 * x**2 + 0.3 * np.sin(4 * x + 0.6) + 0.16 * np.sin(11 * x) + 0.5)


def _two_valleys(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A bowl with a sharp valley, which is deepest, and a wide one."""
    sharp = np.exp(-((x + 1) ** 2 + (y - 0.6) ** 2) / (2 * 0.16**2))
    wide = np.exp(-((x - 0.8) ** 2 + (y + 0.4) ** 2) / (2 * 0.6**2))
    return np.asarray(1 + 0.05 * (x**2 + y**2) - 1.05 * sharp - 0.9 * wide)


_TOYS = (
    ToyLoss("double-well", "Double well", _double_well, ((-1.9, 1.9),), (0.05, 0.15, 0.4), 4.0),
    ToyLoss("rugged", "Rugged bowl", _rugged, ((-4.0, 4.0),), (0.03, 0.12, 0.4), 8.0),
    ToyLoss(
        "two-valleys",
        "A sharp and a wide valley",
        _two_valleys,
        ((-2.4, 2.4), (-1.8, 1.8)),
        (0.02, 0.08, 0.3),
        10.0,
    ),
)
TOY_LOSSES = {toy.name: toy for toy in _TOYS}
