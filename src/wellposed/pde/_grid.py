"""Where a loss is known: a uniform grid on an interval or a rectangle."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from wellposed.errors import require

_LEAST, _MOST = 3, 4096  # points of an axis; the solvers keep matrices of this size squared
_UNEVEN = 1e-4  # of the spacing; what float32 leaves of a uniform grid is accepted


@final
@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    r"""A uniform grid with one or two axes, $x_i = a + i h$.

    Values on it are an array of shape `grid.shape`, first axis first: `values[i, j]` is
    $f(x_i, y_j)$. Beyond its edges a loss is continued by its mirror image, so that nothing flows
    through an edge; what `Relaxed.trusted` marks does not depend on that.

    Args:
        axes: One or two arrays of coordinates, each with 3 to 4096 equally spaced, ascending
            numbers.

    Raises `ArgumentError` outside these ranges.
    """

    axes: tuple[np.ndarray, ...]

    def __post_init__(self) -> None:
        axes = self.axes
        require(
            isinstance(axes, Sequence) and len(axes) in {1, 2},
            f"a grid has a tuple of one or two axes, got {_described(axes)}; try Grid((x,))",
        )
        made = tuple(_axis(np.asarray(axis, dtype=np.float64)) for axis in axes)
        object.__setattr__(self, "axes", made)

    @classmethod
    def box(cls, *sides: tuple[float, float, int]) -> "Grid":
        """A grid over an interval or a rectangle.

        Args:
            sides: One or two of (first coordinate, last coordinate, number of points).
        """
        return cls(tuple(np.linspace(low, high, points) for low, high, points in sides))

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of points of each axis."""
        return tuple(len(axis) for axis in self.axes)

    @property
    def spacing(self) -> tuple[float, ...]:
        """Distance $h$ of neighbors along each axis."""
        return tuple(float(axis[-1] - axis[0]) / (len(axis) - 1) for axis in self.axes)

    @property
    def points(self) -> np.ndarray:
        """Coordinates of all points, shape (number of axes, *shape)."""
        return np.stack(np.meshgrid(*self.axes, indexing="ij"))

    def require_values(self, values: np.ndarray) -> np.ndarray:
        """The values in double precision; `ArgumentError` if they are not finite or do not fit."""
        array = np.asarray(values, dtype=np.float64)
        require(
            array.shape == self.shape,
            f"values on a grid of shape {self.shape} have that shape, got {array.shape}; "
            'a meshgrid needs indexing="ij"',
        )
        bad = int(array.size - np.isfinite(array).sum())
        require(
            bad == 0,
            f"values to relax are finite, got {bad} of {array.size} that are not; cut them off or "
            "choose a smaller grid",
        )
        return array


def require_time(t: float) -> None:
    """Refuse a time that is negative or no number."""
    require(
        bool(np.isfinite(t) and t >= 0),
        f"a loss is relaxed for a time t >= 0, got t={t:g}; backwards in time is ill-posed",
    )


def require_beta(beta: float) -> None:
    """Refuse an inverse temperature that is not positive."""
    require(
        bool(np.isfinite(beta) and beta > 0),
        f"the inverse temperature is positive, got beta={beta:g}; heat is the limit 0, "
        "hopf_lax the limit inf",
    )


def _axis(axis: np.ndarray) -> np.ndarray:
    """The axis, if it is uniform; read-only, without the rounding of single precision."""
    require(
        axis.ndim == 1 and _LEAST <= len(axis) <= _MOST and bool(np.isfinite(axis).all()),
        f"an axis is a row of {_LEAST} to {_MOST} finite numbers, got shape {axis.shape}; "
        "try numpy.linspace",
    )
    steps = np.diff(axis)
    least, most = float(steps.min()), float(steps.max())
    require(
        least > 0 and most - least <= _UNEVEN * most,
        f"an axis ascends in equal steps, got steps from {least:g} to {most:g}; "
        "interpolate to numpy.linspace",
    )
    even = np.linspace(axis[0], axis[-1], len(axis))
    even.flags.writeable = False
    return even


def _described(axes: object) -> str:
    """What was given instead of axes."""
    return f"{len(axes)} axes" if isinstance(axes, Sequence) else type(axes).__name__
