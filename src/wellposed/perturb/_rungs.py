"""Rungs: which attacks a budget has, and who meets them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import final

from wellposed.errors import UnknownNameError, require
from wellposed.perturb._apgd import APGD
from wellposed.perturb._apgd_targeted import TargetedAPGD
from wellposed.perturb._attack import Attack
from wellposed.perturb._ball import Ball
from wellposed.perturb._fab import FAB
from wellposed.perturb._objective import CrossEntropy
from wellposed.perturb._random_search import RandomSearch
from wellposed.perturb._square import Square


@final
@dataclass(frozen=True)
class Rung:
    """An attack, and who meets it.

    Args:
        attack: The attack.
        share: Of all examples, in (0, 1], rounded up: so many of those that are not broken yet,
            the ones of the least margin first, since they are the nearest to the boundary; but of
            more than 16, at most twice this share of those that are left.
        double: Whether to attack a copy of the model in float64, where fewer gradients underflow,
            and to ask the model itself about what is found. Left out if there is no such copy.
        opened: Whether to attack that copy without its saturations: see `Opened`.

    Raises:
        ArgumentError: For another share.
    """

    attack: Attack
    share: float = 1.0
    double: bool = False
    opened: bool = False

    def __post_init__(self) -> None:
        require(0 < self.share <= 1, f"a rung needs a share in (0, 1], got {self.share}")


def _fast(ball: Ball) -> tuple[Rung, ...]:
    return (
        Rung(APGD(7, leap=ball.norm != "l1")),
        Rung(APGD(20), 0.2),
        Rung(TargetedAPGD(40, targets=2, race=True), 0.08),
    )


def _standard(ball: Ball) -> tuple[Rung, ...]:
    sparse = ball.norm == "l1"  # there APGD converges later, and its short climbs rank less well
    return (
        Rung(APGD(10, leap=not sparse)),
        Rung(APGD(50, CrossEntropy()), 0.3),
        Rung(TargetedAPGD(50, targets=4, race=True), 0.3 if sparse else 0.15),
    )


def _full(_ball: Ball) -> tuple[Rung, ...]:
    return (Rung(APGD(100, CrossEntropy())), Rung(TargetedAPGD(100, targets=9)))


def _autoattack(ball: Ball) -> tuple[Rung, ...]:
    sparse = ball.norm == "l1"
    return (
        Rung(APGD(100, CrossEntropy(), restarts=5 if sparse else 1)),
        Rung(TargetedAPGD(100, targets=5 if sparse else 9)),
        Rung(FAB(100, targets=9)),
        Rung(Square(5000)),
    )


LADDERS: Mapping[str, Callable[[Ball], tuple[Rung, ...]]] = MappingProxyType(
    {"fast": _fast, "standard": _standard, "full": _full, "autoattack": _autoattack}
)
"""The rungs of each budget, for a ball."""


def rungs_of(budget: str | Sequence[Rung], ball: Ball) -> tuple[Rung, ...]:
    """The rungs of a budget, by its name; or those that are given.

    Raises `UnknownNameError` for a name that is none, `ArgumentError` for no rung.
    """
    if not isinstance(budget, str):
        require(len(budget) > 0, "a ladder needs at least one rung")
        return tuple(budget)
    if budget not in LADDERS:
        raise UnknownNameError("budget", budget, tuple(LADDERS))
    return LADDERS[budget](ball)


def fallback(ball: Ball, *, images: bool) -> tuple[Rung, ...]:
    """What meets all examples where a network seems to mask its gradients.

    After "full" come steps in float64, where a saturated network may still have a slope, steps on
    the network without its saturations, and a search that asks for outputs alone.

    Args:
        ball: The perturbations.
        images: Whether inputs have the shape (channels, height, width).
    """
    climbs = Rung(APGD(50), double=True), Rung(APGD(50), double=True, opened=True)
    return (*_full(ball), *climbs, Rung(search(1000, images=images)))


def search(queries: int, *, images: bool) -> Attack:
    """A search that asks for outputs alone: by squares in images, else by coordinates."""
    return Square(queries, rescaled=True) if images else RandomSearch(queries)
