"""A ball: the perturbations whose norm is at most eps, inside the bounds of the inputs."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from math import prod
from typing import Any, ClassVar, TypeAlias, final

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from wellposed.errors import require

Bounds: TypeAlias = tuple[float | Tensor, float | Tensor]
"""Least and greatest value of an input: numbers, or tensors that broadcast to the inputs."""

_LEAST = 1e-100  # its square is a normal number, so that no norm underflows
_UNIT = 2.0**-53  # what float64 loses in one operation, relative


@final
@dataclass(frozen=True, slots=True, eq=False)
class Room:
    """The surroundings of some centers, prepared once for many points.

    Args:
        center: The centers, shape (n, ...).
        middle: The same in float64.
        low: What no coordinate may be below, in the type of the centers.
        high: What none may be above.
    """

    center: Tensor
    middle: Tensor
    low: Tensor
    high: Tensor


@dataclass(frozen=True)
class Ball(ABC):
    r"""The set $\{x + \delta : \|\delta\|_p \le \varepsilon,\; l \le x + \delta \le h\}$ around x.

    One radius serves a batch, whose first axis counts the examples; what follows may have any
    shape. Arithmetic is in float64 whatever the type of the inputs, and every point that is handed
    out lies inside the set as a set of real numbers, not only up to rounding: it is shrunk until
    its norm, with all rounding errors against it, is at most eps.

    Args:
        eps: The radius, in the units of the inputs: 0, or from 1e-100 to infinity.

    Raises:
        ArgumentError: If eps is no such number.
    """

    eps: float

    norm: ClassVar[str]
    """"linf", "l2" or "l1"."""
    dual: ClassVar[str]
    """The norm of gradients: a step of length eps gains eps times it, to first order."""

    def __post_init__(self) -> None:
        name = type(self).__name__
        require(
            self.eps == 0 or self.eps >= _LEAST,
            f"{name} needs a radius eps of 0 or at least {_LEAST:g}, got eps={self.eps!r}",
        )

    def resized(self, eps: float) -> "Ball":
        """The ball of another radius."""
        return replace(self, eps=eps)

    @abstractmethod
    def distance(
        self, x: Float[Tensor, "n ..."], center: Float[Tensor, "n ..."]
    ) -> Float[Tensor, " n"]:
        """The norm of x - center per example, in float64."""

    @abstractmethod
    def steepest(self, gradient: Float[Tensor, "n ..."]) -> Float[Tensor, "n ..."]:
        """The direction of norm 1 in which a function with this gradient grows most.

        A gradient of zeros gives zeros; NaN counts as zero. Nothing is added to the norm before
        the division: gradients as small as the smallest float keep their direction.
        """

    def project(
        self,
        x: Float[Tensor, "n ..."],
        center: Float[Tensor, "n ..."],
        bounds: Bounds = (0.0, 1.0),
    ) -> Float[Tensor, "n ..."]:
        """The nearest point of the ball and the bounds, in the Euclidean distance; rounded inward.

        Args:
            x: Where to start; NaN counts as the center's value.
            center: Within the bounds.
            bounds: Least and greatest value of an input.

        Returns a tensor of the center's type, float32 or float64. A point that is inside stays as
        it is, up to rounding. Raises `ArgumentError` if x and center differ in shape, for
        another type, or for a center outside the bounds.
        """
        require(
            x.shape == center.shape,
            f"x and its center need one shape, got {tuple(x.shape)} and {tuple(center.shape)}",
        )
        return self.into(x, self.room(center, bounds))

    def room(self, center: Float[Tensor, "n ..."], bounds: Bounds = (0.0, 1.0)) -> Room:
        """What `into` and `holds` need to know of the centers: for many points around the same.

        Raises `ArgumentError` for another type than float32 and float64, and for a center outside.
        """
        require(
            center.dtype in {torch.float32, torch.float64},
            f"{type(self).__name__} rounds float32 and float64 inward, got {center.dtype}; "
            "convert the inputs by .float()",
        )
        low, high = inner_bounds(bounds, center)
        require(
            not bool(((center < low) | (center > high)).any()),
            f"{type(self).__name__} needs a center within the bounds, and here is one outside",
        )
        return Room(center, center.double(), low, high)

    def into(self, x: Float[Tensor, "n ..."], room: Room) -> Float[Tensor, "n ..."]:
        """As `project`, with the centers and the bounds of a `room` of this ball."""
        return self._moved(x.double() - room.middle, room)

    def holds(self, x: Float[Tensor, "n ..."], room: Room) -> Bool[Tensor, " n"]:
        """Which points lie in the ball and within the bounds as real numbers, by proof.

        A point on the sphere itself may be refused, as its norm is known up to rounding only.
        """
        within = flat((x >= room.low) & (x <= room.high)).all(1)
        return within & (self._at_most(flat(x.double() - room.middle)) <= self.eps)

    def random(
        self,
        center: Float[Tensor, "n ..."],
        bounds: Bounds = (0.0, 1.0),
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "n ..."]:
        """A random point per example, by the law of `spread`.

        Args:
            center: Within the bounds.
            bounds: Least and greatest value of an input.
            generator: Where the numbers come from; None takes torch's.
        """
        device = None if generator is None else generator.device
        size = (len(center), prod(center.shape[1:]) + 1)
        cube = torch.rand(size, generator=generator, dtype=torch.float64, device=device)
        return self.spread(cube.to(center.device), center, bounds)

    @abstractmethod
    def spread(
        self,
        cube: Float[Tensor, "n numbers"],
        center: Float[Tensor, "n ..."],
        bounds: Bounds = (0.0, 1.0),
    ) -> Float[Tensor, "n ..."]:
        """The point of the ball that a point of the unit cube stands for.

        Numbers that are uniform in the cube [0, 1), one more per example than the example has
        coordinates, become a random point, by the law that the class states. Raises
        `ArgumentError` if the radius is infinite.
        """

    @abstractmethod
    def _nearest(self, wanted: Tensor, low: Tensor, high: Tensor) -> Tensor:
        """The nearest displacement of norm eps within low <= 0 <= high; all float64, (n, d)."""

    @abstractmethod
    def _at_most(self, displacement: Tensor) -> Tensor:
        """A number that the norm of fl(x - center), shape (n, d), does not exceed in the reals."""

    def _moved(self, wanted: Tensor, room: Room) -> Tensor:
        """The center plus the nearest displacement to the wanted one, inside as real numbers."""
        center, middle = room.center, room.middle
        if center.numel() == 0:
            return center.clone()
        faces = [flat(face - middle) for face in (room.low, room.high)]
        move = self._nearest(flat(wanted.nan_to_num(0.0)), *faces).view_as(middle)
        slack = torch.finfo(center.dtype).eps / 16
        while True:
            found = (middle + move).to(center.dtype).clamp(room.low, room.high)
            norm = self._at_most(flat(found - middle))
            outside = norm > self.eps
            if not outside.any():
                return found
            # Twice what is too much, at least; the rounding of x may stand against it.
            share = (1 - slack - 2 * (norm / self.eps - 1)).clamp(0, 1 - slack)
            move = torch.where(like_rows(outside, move), like_rows(share, move) * move, move)
            slack = min(1.0, 2 * slack)


def flat(x: Tensor) -> Tensor:
    """One row per example, also where an example is one number or there is none."""
    return x.reshape(len(x), prod(x.shape[1:]))


def like_rows(values: Tensor, like: Tensor) -> Tensor:
    """One value per example, of a shape that broadcasts against the examples."""
    return values.view(-1, *([1] * (like.dim() - 1)))


def rounded_up(norm: Tensor, terms: int) -> Tensor:
    """A float64 norm, as a sum of so many rounded terms, with its rounding errors on top."""
    return norm * (1 + (terms + 4) * _UNIT)


def inner_bounds(bounds: Bounds, like: Tensor) -> tuple[Tensor, Tensor]:
    """The bounds in the type of the inputs, rounded so that what they allow the user's do too."""
    faces = []
    for bound, inward in zip(bounds, (torch.inf, -torch.inf), strict=True):
        exact: Any = torch.as_tensor(bound, dtype=torch.float64, device=like.device)
        face = exact.to(like.dtype)
        loose = face.double() < exact if inward > 0 else face.double() > exact
        faces.append(torch.where(loose, face.nextafter(torch.full_like(face, inward)), face))
    return faces[0], faces[1]
