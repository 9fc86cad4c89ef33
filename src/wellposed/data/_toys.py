"""Points in the plane whose classes no line separates."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import make_circles, make_swiss_roll

from wellposed.data._base import Raw, Source
from wellposed.data._examples import Examples
from wellposed.data._places import Places
from wellposed.errors import require

Points = tuple[NDArray[np.floating], NDArray[np.integer]]

_MOST = 10_000_000  # points: 80 MB as float32, half a GB while they are made
_LOUDEST = 1e6  # beyond it no coordinate is left in the noise


@dataclass(frozen=True)
class Toy(Source):
    """Generated points of shape (2,).

    Args:
        n: How many points, over all classes.
        noise: Standard deviation of the Gaussian noise added to each coordinate; the points lie
            in about [-1, 1]^2 (`Peaks`: [-3, 3]^2).
        seed: The same seed gives the same points.
    """

    n: int = 1000
    noise: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        require(self.n >= 20, f"{type(self).__name__} needs n >= 20 points, got n={self.n}")
        require(
            self.n <= _MOST,
            f"{type(self).__name__} makes at most {_MOST:,} points, got n={self.n}; try 10000",
        )
        require(
            0 <= self.noise <= _LOUDEST,
            f"{type(self).__name__} needs a noise >= 0 and <= {_LOUDEST:g}, got {self.noise:g}",
        )
        require(
            0 <= self.seed < 2**32,
            f"{type(self).__name__} needs a seed from 0 to 2^32 - 1, got {self.seed}; try 0",
        )

    @abstractmethod
    def points(self, generator: np.random.RandomState) -> Points:
        """Coordinates (n, 2) without noise, and class numbers (n,)."""

    def find(self, places: Places) -> str | None:  # noqa: ARG002
        """Generated points are always at hand."""
        return f"generated, {self!r}"

    def read(self, places: Places) -> Raw:  # noqa: ARG002 - always at hand
        """All points as the train part."""
        generator = np.random.RandomState(self.seed)
        where, labels = self.points(generator)
        where = where + self.noise * generator.standard_normal(where.shape)
        return Raw(
            train=Examples(where.astype(np.float32), labels),
            classes=tuple(map(str, range(1 + int(labels.max())))),
            license="none needed",
            origin=f"generated, {self!r}",
        )


@final
@dataclass(frozen=True)
class XOR(Toy):
    """Uniform in [-1, 1]^2; class 1 where the two coordinates have different signs."""

    name = "xor"

    def points(self, generator: np.random.RandomState) -> Points:
        """Coordinates and class numbers."""
        where = generator.uniform(-1, 1, (self.n, 2))
        return where, (where[:, 0] * where[:, 1] < 0).astype(np.int64)


@final
@dataclass(frozen=True)
class Circles(Toy):
    """Two concentric circles, of radius 1 (class 0) and `factor` (class 1).

    Args:
        n: How many points, over both classes.
        noise: Standard deviation of the noise.
        seed: The same seed gives the same points.
        factor: Radius of the inner circle, in (0, 1).
    """

    factor: float = 0.5
    name = "circles"

    def points(self, generator: np.random.RandomState) -> Points:
        """Coordinates and class numbers, from scikit-learn."""
        require(0 < self.factor < 1, f"Circles needs a factor in (0, 1), got {self.factor:g}")
        where, labels = make_circles(self.n, factor=self.factor, random_state=generator)
        return where, labels


@final
@dataclass(frozen=True)
class Peaks(Toy):
    r"""Five level sets of MATLAB's `peaks` function on [-3, 3]^2, with equally many points each.

    $$f(x, y) = 3 (1-x)^2 e^{-x^2-(y+1)^2} - 10 (x/5 - x^3 - y^5) e^{-x^2-y^2}
      - \tfrac{1}{3} e^{-(x+1)^2-y^2}$$

    Class k holds the points where f lies in the k-th fifth of its range.

    References:
        Haber and Ruthotto, Stable architectures for deep neural networks, 2017,
        arXiv:1705.03341, section 6.
    """

    name = "peaks"

    def points(self, generator: np.random.RandomState) -> Points:
        """Coordinates and class numbers."""
        bounds = np.linspace(-6.5511, 8.1062, 6)[1:-1]  # fifths of f's range
        where, labels = np.empty((0, 2)), np.empty(0, np.int64)
        while np.bincount(labels, minlength=5).min() < -(-self.n // 5):
            more = generator.uniform(-3, 3, (8 * self.n, 2))
            where = np.concatenate([where, more])
            labels = np.concatenate([labels, np.digitize(peaks(*more.T), bounds)])
        share = [np.flatnonzero(labels == k)[: (self.n + 4 - k) // 5] for k in range(5)]
        chosen = np.sort(np.concatenate(share))
        return where[chosen], labels[chosen]


@final
@dataclass(frozen=True)
class Spirals(Toy):
    """Interleaved spiral arms, one per class, that wind `turns` times around the origin.

    Args:
        n: How many points, over all classes.
        noise: Standard deviation of the noise.
        seed: The same seed gives the same points.
        arms: How many classes, at least 2.
        turns: Of each arm, above 0.
    """

    arms: int = 2
    turns: float = 1.5
    name = "spirals"

    def points(self, generator: np.random.RandomState) -> Points:
        """Coordinates and class numbers."""
        require(2 <= self.arms <= self.n // 4, f"Spirals needs 2 or more arms, got {self.arms}")
        require(self.turns > 0, f"Spirals needs turns > 0, got {self.turns:g}")
        labels = np.arange(self.n) % self.arms
        radius = np.sqrt(generator.uniform(0.01, 1, self.n))  # even along the arm's area
        angle = 2 * np.pi * (self.turns * radius + labels / self.arms)
        return radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1), labels


@final
@dataclass(frozen=True)
class SwissRoll(Toy):
    """Two rolled-up sheets seen from the side, one inside the other.

    scikit-learn's roll, scaled to radius 1, is class 0; the same moved outwards by 0.2 is class 1.

    References:
        Haber and Ruthotto, Stable architectures for deep neural networks, 2017,
        arXiv:1705.03341, section 6.
    """

    name = "swissroll"

    def points(self, generator: np.random.RandomState) -> Points:
        """Coordinates and class numbers."""
        roll, angle = make_swiss_roll(self.n, random_state=generator)
        labels = np.arange(self.n) % 2
        radius = angle / (4.5 * np.pi)  # scikit-learn rolls from 1.5 pi to 4.5 pi
        direction = roll[:, [0, 2]] / angle[:, None]
        return (radius + 0.2 * labels)[:, None] * direction, labels


def peaks(x: NDArray[np.floating], y: NDArray[np.floating]) -> NDArray[np.floating]:
    """MATLAB's `peaks` function; its values lie in [-6.5511, 8.1062]."""
    valley = 10 * (x / 5 - x**3 - y**5) * np.exp(-(x**2) - y**2)
    hill = 3 * (1 - x) ** 2 * np.exp(-(x**2) - (y + 1) ** 2)
    value: NDArray[np.floating] = hill - valley - np.exp(-((x + 1) ** 2) - y**2) / 3
    return value
