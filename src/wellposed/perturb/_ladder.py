"""A ladder of attacks: the dear ones climb on, with the examples nearest to the boundary."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from math import ceil
from types import MappingProxyType
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from wellposed.errors import UnknownNameError, require
from wellposed.perturb._apgd import APGD
from wellposed.perturb._apgd_targeted import TargetedAPGD
from wellposed.perturb._attack import Attack
from wellposed.perturb._attacked import Attacked
from wellposed.perturb._ball import Ball, Bounds
from wellposed.perturb._objective import CrossEntropy
from wellposed.perturb._pool import Pool

_POOL = Pool()


@final
@dataclass(frozen=True)
class Rung:
    """An attack, and who meets it.

    Args:
        attack: The attack.
        share: Of all examples, in (0, 1], rounded up: so many of those that are not broken yet,
            the ones of the least margin first, since they are the nearest to the boundary.

    Raises:
        ArgumentError: For another share.
    """

    attack: Attack
    share: float = 1.0

    def __post_init__(self) -> None:
        require(0 < self.share <= 1, f"a rung needs a share in (0, 1], got {self.share}")


@final
@dataclass(frozen=True)
class Spent:
    """What a rung did at one radius.

    Args:
        eps: The radius.
        attack: In words.
        tried: Examples that met it.
        broke: How many of them it broke.
        gradients: Backward passes to the input, with their forward passes.
        forwards: Further forward passes.
    """

    eps: float
    attack: str
    tried: int
    broke: int
    gradients: int
    forwards: int


@final
@dataclass(frozen=True, eq=False)
class Climbed:
    """What a ladder found.

    Args:
        radii: Ascending.
        attacked: What was found at each of them, with what was spent there.
        spent: The same by radius and rung, in their order.
    """

    radii: tuple[float, ...]
    attacked: tuple[Attacked, ...]
    spent: tuple[Spent, ...]

    @property
    def gradients(self) -> int:
        """Backward passes to the input, all together."""
        return sum(part.gradients for part in self.spent)

    @property
    def forwards(self) -> int:
        """Further forward passes, all together."""
        return sum(part.forwards for part in self.spent)


def _fast(_ball: Ball) -> tuple[Rung, ...]:
    return (
        Rung(APGD(7)),
        Rung(APGD(20), 0.2),
        Rung(TargetedAPGD(40, targets=2), 0.08),
    )


def _standard(ball: Ball) -> tuple[Rung, ...]:
    sparse = ball.norm == "l1"  # there APGD converges later, and its short climbs rank less well
    return (
        Rung(APGD(10)),
        Rung(APGD(50, CrossEntropy()), 0.3),
        Rung(TargetedAPGD(50, targets=4), 0.3 if sparse else 0.15),
    )


def _full(_ball: Ball) -> tuple[Rung, ...]:
    return (Rung(APGD(100, CrossEntropy())), Rung(TargetedAPGD(100, targets=9)))


LADDERS: Mapping[str, Callable[[Ball], tuple[Rung, ...]]] = MappingProxyType(
    {"fast": _fast, "standard": _standard, "full": _full}
)
"""The rungs of each budget, for a ball."""


def ladder(  # noqa: PLR0913 - an attack's own arguments, and the radii
    model: nn.Module,
    inputs: Float[Tensor, "n ..."],
    labels: Int[Tensor, " n"],
    ball: Ball,
    radii: Sequence[float] | None = None,
    *,
    budget: str | Sequence[Rung] = "standard",
    bounds: Bounds = (0.0, 1.0),
    seed: int = 0,
    pool: Pool = _POOL,
) -> Climbed:
    """Attacks one after the other, each on what the ones before have left, at every radius.

    An attack gives a valid upper bound of robust accuracy whatever is spent on it. So a cheap one
    meets all examples, and those that end nearest to the boundary, by the best margin found, meet
    dear ones. That is a good order of priority unless the margin itself misleads, as in networks
    that mask their gradients: see `suspicions`.

    - `fast`: APGD for 7 steps; 20 more on the nearest 20 %; two targets of 40 steps on the nearest
      8 %. At most about 17 gradients per example.
    - `standard`: APGD for 10 steps; 50 with cross-entropy on the nearest 30 %; four targets of 50
      steps on the nearest 15 %, in the L1 norm 30 %. At most about 55, in the L1 norm 85.
    - `full`: APGD for 100 steps with cross-entropy, then nine targets of 100 steps, on all. At most
      1000.

    An example that is broken at a radius is broken at all larger ones, by the same point, and costs
    nothing there; the others start from the best point of the radius before. The share that is not
    broken therefore never rises with the radius.

    Args:
        model: As in `Attack`.
        inputs: Shape (n, ...), within the bounds.
        labels: The right classes, from 0.
        ball: Its norm is that of all balls.
        radii: At least 0, ascending; None takes the ball's own alone.
        budget: One of `LADDERS`, or rungs of the caller's own.
        bounds: Least and greatest value of an input.
        seed: Of random starts; each rung at each radius has its own numbers.
        pool: The size of the batch; without a checkpoint.

    Raises `UnknownNameError` for another budget, `ArgumentError` for radii that do not ascend.

    References:
        Croce and Hein, Reliable evaluation of adversarial robustness with an ensemble of diverse
        parameter-free attacks, 2020, arXiv:2003.01690, for the attacks and for leaving out what is
        broken; the allocation by margin is ours.
    """
    radii = (ball.eps,) if radii is None else tuple(float(eps) for eps in radii)
    require(
        len(radii) > 0 and list(radii) == sorted(set(radii)),
        f"radii ascend and differ from each other, got {list(radii)}; sort them",
    )
    require(pool.checkpoint is None, "a ladder keeps its work in memory; give a pool without file")
    rungs = _rungs(budget, ball)
    spent: list[Spent] = []
    attacked: list[Attacked] = []
    for eps in radii:
        state = _State(inputs) if not attacked else _State.after(attacked[-1])
        for number, rung in enumerate(rungs if eps > 0 else rungs[:1]):
            which = state.nearest(rung.share)
            if not len(which):
                break
            new = rung.attack(
                model,
                inputs[which],
                labels[which],
                ball.resized(eps),
                bounds=bounds,
                seed=_seed(seed, eps, number),
                begin=state.examples[which] if attacked and number == 0 else None,
                pool=pool,
            )
            spent.append(state.take(eps, rung.attack, which, new))
        attacked.append(state.attacked())
    return Climbed(radii, tuple(attacked), tuple(spent))


class _State:
    """The best that is known of each example, and what was spent at this radius."""

    def __init__(self, inputs: Tensor) -> None:
        n, device = len(inputs), inputs.device
        self.examples = inputs.detach().clone()
        self.broken = torch.zeros(n, dtype=torch.bool, device=device)
        self.margin = torch.full((n,), torch.inf, dtype=torch.float64, device=device)
        self.gradients = torch.zeros(n, dtype=torch.int64, device=device)
        self.forwards = torch.zeros_like(self.gradients)

    @classmethod
    def after(cls, before: Attacked) -> "_State":
        """What a smaller radius has left, with nothing spent yet."""
        state = cls(before.examples)
        state.broken, state.margin = before.broken.clone(), before.margin.double()
        return state

    def nearest(self, share: float) -> Tensor:
        """The rows that are not broken of the least margin, in ascending order."""
        left = (~self.broken).nonzero().squeeze(1)
        order = self.margin[left].argsort(stable=True)
        return left[order[: ceil(share * len(self.broken))]].sort().values

    def take(self, eps: float, attack: Attack, which: Tensor, new: Attacked) -> Spent:
        """Keep what an attack found for some rows, where it is better."""
        better = new.broken | (new.margin < self.margin[which])
        places = which[better]
        self.examples[places] = new.examples[better]
        self.margin[places] = new.margin[better].double()
        self.broken[which] |= new.broken
        self.gradients[which] += new.gradients
        self.forwards[which] += new.forwards
        counts = [int(count.sum()) for count in (new.broken, new.gradients, new.forwards)]
        return Spent(eps, _words(attack), len(which), *counts)

    def attacked(self) -> Attacked:
        """What is known now."""
        return Attacked(self.examples, self.broken, self.margin, self.gradients, self.forwards)


def _rungs(budget: str | Sequence[Rung], ball: Ball) -> tuple[Rung, ...]:
    if not isinstance(budget, str):
        require(len(budget) > 0, "a ladder needs at least one rung")
        return tuple(budget)
    if budget not in LADDERS:
        raise UnknownNameError("budget", budget, tuple(LADDERS))
    return LADDERS[budget](ball)


def _seed(seed: int, eps: float, rung: int) -> int:
    require(0 <= seed < 2**63, f"a ladder needs a seed from 0 below 2^63, got seed={seed}")
    return int.from_bytes(sha256(f"{seed} {eps!r} {rung}".encode()).digest()[:7], "big")


def _words(attack: Attack) -> str:
    """Name, steps and objective of an attack: "APGD 50 CrossEntropy"."""
    said = [type(attack).__name__]
    counts = [name for name in ("targets", "steps", "queries") if hasattr(attack, name)]
    said += [f"{getattr(attack, name)} {name}" for name in counts]
    if hasattr(attack, "objective"):
        said.append(type(attack.objective).__name__)
    return " ".join(said)
