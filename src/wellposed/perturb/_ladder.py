"""A ladder of attacks: the dear ones climb on, with the examples nearest to the boundary."""

import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from itertools import pairwise
from typing import Any, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from wellposed.errors import ArgumentError, require
from wellposed.perturb._attack import Attack
from wellposed.perturb._attacked import Attacked
from wellposed.perturb._ball import Ball, Bounds
from wellposed.perturb._fgsm import FGSM
from wellposed.perturb._masking import Suspicions, suspicions
from wellposed.perturb._opened import Opened
from wellposed.perturb._planted import Planted, planted
from wellposed.perturb._pool import Pool
from wellposed.perturb._rungs import Rung, fallback, rungs_of
from wellposed.perturb._standing import Standing
from wellposed.perturb._stored import fingerprint, store, stored

_POOL = Pool()
_LOOKED, _QUERIES = 32, 150  # examples that suspicions look at, and what a search may ask there
_BLUNT = 0.02  # share that is left, up to which nothing is suspected: who breaks the rest can see
_PLANTED, _FEWEST = 12, 4  # examples next to which a point is planted, and how many must succeed


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
        spent: The same by radius and rung, in the order in which they ran.
        suspicions: What speaks for a weak attack; None if that was not asked, or hardly anything
            was left.
    """

    radii: tuple[float, ...]
    attacked: tuple[Attacked, ...]
    spent: tuple[Spent, ...]
    suspicions: Suspicions | None = None

    @property
    def suspected(self) -> bool:
        """Whether the attack may be weak, though all of `full` and a search were tried then."""
        return self.suspicions is not None and len(self.suspicions.raised) > 0

    @property
    def gradients(self) -> int:
        """Backward passes to the input, all together."""
        return sum(part.gradients for part in self.spent)

    @property
    def forwards(self) -> int:
        """Further forward passes, all together."""
        return sum(part.forwards for part in self.spent)


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
    doubts: bool = True,
    pool: Pool = _POOL,
) -> Climbed:
    """Attacks one after the other, each on what the ones before have left, at every radius.

    An attack gives a valid upper bound of robust accuracy whatever is spent on it. So a cheap one
    meets all examples, and those that end nearest to the boundary, by the best margin found, meet
    dear ones. That is a good order of priority unless the margin itself misleads, as in networks
    that mask their gradients. So `suspicions` are looked for on 32 examples that are left, where
    about half of all are; and if there is one, all that is left at any radius meets the rungs of
    `full`, 50 steps of APGD on a copy of the model in float64, 50 on that copy without softmax and
    sigmoid and with slopes of 1 for rounding, and 1000 queries of `Square`, or `RandomSearch` for
    inputs that are no images. Where an attack has broken 98 % of the examples,
    it can see, and what few examples could say would be chance: there nothing is looked for.

    - `fast`: APGD for 7 steps; 20 more on the nearest 20 %; two targets of 40 steps on the nearest
      8 %. At most about 18 gradients per example.
    - `standard`: APGD for 10 steps; 50 with cross-entropy on the nearest 30 %; four targets of 50
      steps on the nearest 15 %, in the L1 norm 30 %. At most about 56, in the L1 norm 85.

      In these two, but not in L1, the first steps begin where the gradient at the input points,
      and a target that is well behind the others after a fifth of its steps is given up. Where
      more than half are broken, no more than twice these shares of what is left.
    - `full`: APGD for 100 steps with cross-entropy, then nine targets of 100 steps, on all. At most
      1000.
    - `autoattack`: the protocol of Croce and Hein, for numbers to compare with those of others:
      the same two, in the L1 norm with five restarts and five targets, then FAB with nine targets
      and Square with 5000 queries; at each radius from the start. It needs images. What
      `suspicions` break does not count there, and nothing follows from them.

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
        doubts: Whether to look for suspicions.
        pool: The size of the batch; and a checkpoint, to which the work is saved after each rung at
            each radius, and from which it goes on.

    Raises `UnknownNameError` for another budget, `ArgumentError` for radii that do not ascend,
    `DataError` if the checkpoint is that of other work.

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
    require(0 <= seed < 2**63, f"a ladder needs a seed from 0 below 2^63, got seed={seed}")
    rungs = rungs_of(budget, ball)
    climb = _Climb(model, inputs, labels, ball, radii, {"bounds": bounds, "seed": seed}, pool)
    climb.open([[repr(rung) for rung in rungs], budget if isinstance(budget, str) else "", doubts])
    exact = isinstance(budget, str) and budget == "autoattack"
    climb.run(rungs, "", warm=not exact)
    found = None
    if doubts:
        dear = isinstance(budget, str) and budget in {"full", "autoattack"}
        tested = rungs_of("standard", ball) if dear else rungs
        found = climb.doubted(tested, keep=not exact)
    if found is not None and found.raised and not exact:
        climb.run(fallback(ball, images=inputs.dim() == 4), "again: ", warm=False)
    return Climbed(radii, tuple(s.attacked() for s in climb.states), tuple(climb.spent), found)


class _Climb:
    """A climb under way: what is known at each radius."""

    def __init__(
        self, model: nn.Module, inputs: Tensor, labels: Tensor, ball: Ball,
        radii: Sequence[float], given: dict[str, Any], pool: Pool,
    ) -> None:  # fmt: skip
        self.model, self.inputs, self.labels, self.ball = model, inputs, labels, ball
        self.radii, self.given = radii, given
        self.pool, self.path = replace(pool, checkpoint=None), pool.checkpoint
        self.states = [Standing(inputs) for _ in radii]
        self.spent: list[Spent] = []
        self.done: list[str] = []
        self.suspicions: Suspicions | None = None
        self.name = ""

    def open(self, said: Sequence[Any]) -> None:
        """Go on from the checkpoint, if there is one.

        Args:
            said: What is to be done, for its fingerprint.
        """
        if self.path is None:
            return
        given = [self.inputs, self.labels, *(torch.as_tensor(b) for b in self.given["bounds"])]
        weights = [*self.model.parameters(), *self.model.buffers()]
        pool = [self.pool.batch, self.pool.precision]
        about = [said, repr(self.ball), list(self.radii), self.given["seed"], pool]
        self.name = fingerprint(about, [*given, *weights])
        if not self.path.exists():
            return
        tensors, notes = stored(self.path, self.name, self.inputs.device)
        for k, state in enumerate(self.states):
            state.load({name: tensors[f"{k}.{name}"] for name in state.columns})
        self.done = notes["done"]
        self.spent = [Spent(**part) for part in notes["spent"]]
        if notes["suspicions"] is not None:
            self.suspicions = Suspicions(**notes["suspicions"])

    def _save(self, unit: str) -> None:
        """Note that a part of the work is done, in the file if there is one."""
        self.done.append(unit)
        if self.path is None:
            return
        states = enumerate(self.states)
        tensors = {f"{k}.{name}": v for k, s in states for name, v in s.columns.items()}
        found = None if self.suspicions is None else asdict(self.suspicions)
        spent = [asdict(part) for part in self.spent]
        notes = {"done": self.done, "spent": spent, "suspicions": found}
        store(self.path, self.name, tensors, notes)

    def run(self, rungs: Sequence[Rung], label: str, *, warm: bool) -> None:
        """All rungs at all radii, each on what is left.

        Args:
            rungs: In their order.
            label: Before the names of the attacks.
            warm: Whether the first rung starts from what the smaller radius has found.
        """
        for k, (eps, state) in enumerate(zip(self.radii, self.states, strict=True)):
            if k > 0:
                state.inherit(self.states[k - 1])
            for number, rung in enumerate(rungs if eps > 0 else rungs[:1]):
                unit = f"{label}{eps!r} {number}"
                if unit in self.done:
                    continue
                which = state.nearest(rung.share)
                if not len(which):
                    break
                begin = state.examples[which] if warm and k > 0 and number == 0 else None
                seed = _seed(self.given["seed"], unit)
                new = self._attacked(rung, which, self.ball.resized(eps), seed, begin)
                if new is None:
                    continue
                state.take(which, new)
                counts = [int(c.sum()) for c in (new.broken, new.gradients, new.forwards)]
                self.spent.append(Spent(eps, label + _words(rung.attack), len(which), *counts))
                self._save(unit)

    def _attacked(
        self, rung: Rung, which: Tensor, ball: Ball, seed: int, begin: Tensor | None
    ) -> Attacked | None:
        """What the attack of a rung finds for some rows; None if it cannot be tried."""
        x, y = self.inputs[which], self.labels[which]
        given = {"bounds": self.given["bounds"], "seed": seed, "pool": self.pool}
        if not rung.double:
            return rung.attack(self.model, x, y, ball, begin=begin, **given)
        try:
            twin = copy.deepcopy(self.model).double()
            twin = Opened(twin) if rung.opened else twin
            points = rung.attack(twin, x.double(), y, ball, begin=begin, **given)
        except Exception:  # noqa: BLE001 - a user's model may refuse float64 in any way
            return None
        asked = FGSM()(self.model, x, y, ball, begin=points.examples.to(x), **given)
        return replace(
            asked,
            gradients=asked.gradients + points.gradients,
            forwards=asked.forwards + points.forwards,
        )

    def doubted(self, rungs: Sequence[Rung], *, keep: bool) -> Suspicions | None:
        """What speaks for a weak attack.

        Args:
            rungs: Those whose attacks search for planted points.
            keep: Whether what was broken by the way is broken.
        """
        if "doubts" in self.done:
            return self.suspicions
        shares = [abs(float(s.broken.double().mean()) - 0.5) for s in self.states]
        few = _BLUNT * len(self.labels)
        able = [k for k, eps in enumerate(self.radii) if eps > 0 and self.states[k].left() > few]
        if not able:
            return None
        k = min(able, key=shares.__getitem__)
        eps, state = self.radii[k], self.states[k]
        ball = self.ball.resized(eps)
        before = state.left()
        found, known = suspicions(
            self.model, self.inputs, self.labels, ball, state.attacked(),
            self.states[k - 1].attacked() if k > 0 else None, **self.given, pool=self.pool,
            examples=_LOOKED, queries=_QUERIES,
        )  # fmt: skip
        tested = self._planted(state, ball, [rung.attack for rung in rungs])
        found = replace(
            found,
            blackbox_gain=max(found.blackbox_gain, self._searched()),
            planted_found=tested.share if tested.planted >= _FEWEST else None,
            gradients=found.gradients + tested.gradients,
            forwards=found.forwards + tested.forwards,
        )
        if keep:
            state.merge(known)
            for smaller, larger in pairwise(self.states):
                larger.inherit(smaller)
        broke = before - state.left()
        counts = (found.examples, broke, found.gradients, found.forwards)
        self.spent.append(Spent(eps, "suspicions", *counts))
        self.suspicions = found
        self._save("doubts")
        return found

    def _searched(self) -> float:
        """Accuracy that a rung without gradients took from those with, at most; one is chance."""
        climbed, gains = set(), [0]
        for part in self.spent:
            if part.gradients:
                climbed.add(part.eps)
            elif part.eps in climbed and part.broke > 1:
                gains.append(part.broke)
        return max(gains) / len(self.labels)

    def _planted(self, state: "Standing", ball: Ball, attacks: Sequence[Attack]) -> Planted:
        rows = (~state.broken).nonzero().squeeze(1)[:_PLANTED]
        try:
            return planted(
                self.model, self.inputs[rows], self.labels[rows], ball, attacks, **self.given
            )
        except ArgumentError:  # it has no layer to plant in
            return Planted(len(rows), 0, 0, 0, 0)


def _seed(seed: int, name: str) -> int:
    return int.from_bytes(sha256(f"{seed} {name}".encode()).digest()[:7], "big")


def _words(attack: Attack) -> str:
    """Name, steps and objective of an attack: "APGD 50 CrossEntropy"."""
    said = [type(attack).__name__]
    counts = [name for name in ("targets", "steps", "queries") if hasattr(attack, name)]
    said += [f"{getattr(attack, name)} {name}" for name in counts]
    if hasattr(attack, "objective"):
        said.append(type(attack.objective).__name__)
    return " ".join(said)
