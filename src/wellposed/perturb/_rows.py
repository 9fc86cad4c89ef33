"""Rows: the examples that an attack works on now, each with its own clock."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from wellposed.perturb._ball import Ball, Bounds, Room, flat, inner_bounds, like_rows
from wellposed.perturb._hashed import hashed_uniform
from wellposed.perturb._objective import class_logits, is_broken, margin
from wellposed.perturb._quick import Quick

Values: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""(logits, labels) -> one value per example: an `Objective`, or any such function."""

_STOPPED = 1e-6  # of the range: nearer to a bound nothing can move; rounding must not decide


@final
@dataclass(frozen=True)
class Game:
    """What is attacked, and by which rules.

    Args:
        model: Frozen; it returns logits.
        ball: The allowed perturbations.
        bounds: Least and greatest value of an input, in the type of the inputs.
        seed: Of all random numbers.
        length: How many calls of `step` a round has.
        smallest: Whether the smallest perturbation that breaks an example is looked for, so that
            an example does not leave when it is broken.
        deepest: Whether the point with the least margin is looked for, with the same consequence.
        quick: The model for the search; None takes the model itself.
    """

    model: nn.Module
    ball: Ball
    bounds: Bounds
    seed: int
    length: int
    smallest: bool = False
    deepest: bool = False
    quick: Quick | None = None

    @property
    def rough(self) -> bool:
        """Whether margins of the search are known to few digits only."""
        return self.quick is not None and self.quick.rough


@final
class Rows:
    """Some examples, what is known of them, and the model's answers about them.

    An attack reads the columns, keeps what it needs per example in `state`, and asks by `logits`,
    `value`, `gradient` and `slopes`. Whatever points it asks about are watched: a point inside
    ball and bounds is kept if it is the best so far, and an example is broken once the model,
    asked again about the point that is kept, does not give the right class the lead.

    Args:
        game: The rules.
        columns: One entry per example, along the first axis.
        state: The same, of the attack.
    """

    def __init__(
        self, game: Game, columns: dict[str, Tensor], state: dict[str, Tensor] | None = None
    ) -> None:
        self.game = game
        self.columns = columns
        self.state: dict[str, Tensor] = {} if state is None else state
        self.seen = torch.empty(0)  # margins of the points that were asked about last
        self._draws = 0
        self._room: Room | None = None

    def __len__(self) -> int:
        return len(self.index)

    @property
    def index(self) -> Tensor:
        """Which examples they are, among all."""
        return self.columns["index"]

    @property
    def center(self) -> Tensor:
        """The inputs themselves."""
        return self.columns["center"]

    @property
    def labels(self) -> Tensor:
        """The right classes."""
        return self.columns["labels"]

    @property
    def clean(self) -> Float[Tensor, "n classes"]:
        """The logits at the centers."""
        return self.columns["clean"]

    @property
    def clock(self) -> Tensor:
        """How many calls of `step` this round has seen."""
        return self.columns["clock"]

    @property
    def round(self) -> Tensor:
        """Which restart it is, or which target, from 0."""
        return self.columns["round"]

    @property
    def best(self) -> Tensor:
        """The point that is kept: with the least margin, or the smallest that breaks."""
        return self.columns["examples"]

    @property
    def margin(self) -> Float[Tensor, " n"]:
        """Its margin."""
        return self.columns["margin"]

    @property
    def broken(self) -> Bool[Tensor, " n"]:
        """Whether it is confirmed that it breaks."""
        return self.columns["broken"]

    @property
    def size(self) -> Float[Tensor, " n"]:
        """The distance of the kept point from the center, infinite where none breaks yet."""
        return self.columns["size"]

    @property
    def last(self) -> Bool[Tensor, " n"]:
        """Whether this is the round's last call of `step`, after which no gradient is used."""
        return self.clock == self.game.length - 1

    @property
    def faces(self) -> tuple[Tensor, Tensor]:
        """The bounds alone, in the type of the centers: they broadcast to these."""
        return inner_bounds(self.game.bounds, self.center)

    @property
    def room(self) -> Room:
        """Ball and bounds around the centers."""
        if self._room is None:
            self._room = self.game.ball.room(self.center, self.game.bounds)
        return self._room

    def leap(self) -> Tensor:
        """In the first round, where the slope at the center points from there; else a random point.

        The slope has been seen in the look at the inputs, so that this point costs nothing. Where
        it is zero it points nowhere.
        """
        drawn = self.begin(random=True)
        if "slope" not in self.columns:
            return drawn
        slope, ball = self.columns["slope"], self.game.ball
        there = self.project(self.center + ball.eps * ball.steepest(slope))
        points = (self.round == 0) & flat(ball.steepest(slope) != 0).any(1)
        return torch.where(like_rows(points, drawn), there, drawn)

    def begin(self, *, random: bool) -> Tensor:
        """Where a round starts: at a random point, or at the center; or where the caller says."""
        own = self.center.clone()
        if random:
            numbers = self.uniform(self.center[0].numel() + 1)
            own = self.game.ball.spread(numbers, self.center, self.game.bounds)
        return self.told(own, self.project)

    def told(self, own: Tensor, fitted: Callable[[Tensor], Tensor]) -> Tensor:
        """The attack's own start, or in the first round the caller's, fitted, if there is one."""
        if "begin" not in self.columns:
            return own
        return torch.where(like_rows(self.round == 0, own), fitted(self.columns["begin"]), own)

    def project(self, x: Tensor) -> Tensor:
        """The nearest points of ball and bounds."""
        return self.game.ball.into(x, self.room)

    def uphill(self, x: Tensor, slope: Tensor) -> Tensor:
        """The steepest direction, of the coordinates that no bound keeps where they are."""
        if self.game.ball.norm == "linf":  # there no coordinate takes anything from another
            return self.game.ball.steepest(slope)
        low, high = self.game.bounds
        near = _STOPPED * (high - low)
        stopped = ((x <= low + near) & (slope < 0)) | ((x >= high - near) & (slope > 0))
        return self.game.ball.steepest(torch.where(stopped, 0, slope))

    def uniform(self, count: int) -> Float[Tensor, "n count"]:
        """Numbers over [0, 1) from seed, example, round, clock, and how often it was asked."""
        self._draws += 1  # since the last call of `start` or `step` began
        keys: list[int | Tensor] = [self.game.seed, self.index, self.round, self.clock, self._draws]
        return hashed_uniform(keys, count)

    def logits(self, x: Tensor) -> Float[Tensor, "n classes"]:
        """The logits at these points. Cost: one forward pass each."""
        with torch.no_grad():
            logits = self._search(x)
        self.columns["forwards"] += 1
        self._watch(x, logits)
        return logits

    def value(self, x: Tensor, objective: Values) -> Float[Tensor, " n"]:
        """The objective at these points. Cost: one forward pass each."""
        return objective(self.logits(x), self.labels)

    def gradient(self, x: Tensor, objective: Values) -> tuple[Tensor, Tensor]:
        """The objective at these points, and its gradient.

        Cost: one gradient each; one forward pass for those in their last step, which get zeros.
        """
        last = self.last
        if last.any():
            return self._mixed(x, objective, last)
        values, slopes = self.slopes(x, [objective])
        return values[:, 0], slopes[:, 0]

    def slopes(self, x: Tensor, objectives: Sequence[Values]) -> tuple[Tensor, Tensor]:
        """Several objectives at these points, shape (n, k), and their gradients, (n, k, ...).

        Cost: one forward pass, and a backward pass for each objective; each of these counts as a
        gradient.
        """
        x = x.detach().requires_grad_()
        logits = self._search(x)
        values = [objective(logits, self.labels) for objective in objectives]
        slopes = [slope_of(v, x, retain=k + 1 < len(values)) for k, v in enumerate(values)]
        self.columns["gradients"] += len(values)
        self._watch(x.detach(), logits.detach())
        return torch.stack(values, 1).detach(), torch.stack(slopes, 1)

    def tick(self) -> None:
        """Move the clock of all rows on by one call."""
        self.columns["clock"] += 1
        self._draws = 0

    def take(self, which: Tensor) -> "Rows":
        """Some of the rows, by a mask or by their places."""
        columns = {name: column[which] for name, column in self.columns.items()}
        state = {name: column[which] for name, column in self.state.items()}
        return self._like(columns, state)

    def joined(self, other: "Rows") -> "Rows":
        """These rows, then the others."""
        if len(self) == 0:  # and so without a state
            return other
        return self._like(_below(self.columns, other.columns), _below(self.state, other.state))

    def _like(self, columns: dict[str, Tensor], state: dict[str, Tensor]) -> "Rows":
        rows = Rows(self.game, columns, state)
        rows._draws = self._draws
        return rows

    def _mixed(self, x: Tensor, objective: Values, last: Tensor) -> tuple[Tensor, Tensor]:
        """A backward pass only for the rows that need it."""
        places = torch.cat([(~last).nonzero(), last.nonzero()]).squeeze(1).argsort()
        moving = x[~last].detach().requires_grad_()
        with torch.no_grad():
            rest = self._search(x[last])
        logits = torch.cat([self._search(moving), rest])[places] if len(moving) else rest
        values = objective(logits, self.labels)
        slopes = torch.zeros_like(x)
        if len(moving):
            slopes[~last] = slope_of(values, moving)
        self.columns["gradients"] += ~last
        self.columns["forwards"] += last
        self._watch(x.detach(), logits.detach())
        return values.detach(), slopes

    def settle(self, which: Tensor) -> None:
        """Ask the model itself about the points that are kept of rows that are not broken."""
        places = (which & ~self.broken).nonzero().squeeze(1)
        if len(places):
            x = self.best[places]
            with torch.no_grad():
                self.margin[places] = margin(self._forward(x), self.labels[places])
            self.columns["forwards"][places] += 1
            self._break(places[is_broken(self.margin[places])])

    def _search(self, x: Tensor) -> Tensor:
        return class_logits((self.game.quick or self.game.model)(x), len(x))

    def _forward(self, x: Tensor) -> Tensor:
        return class_logits(self.game.model(x), len(x))

    def _watch(self, x: Tensor, logits: Tensor) -> None:
        """Keep the points that are better than what is kept, and confirm those that break."""
        self.seen = margins = margin(logits, self.labels)
        breaks, nearer = is_broken(margins), ~self.broken
        if self.game.smallest:
            nearer = self.game.ball.distance(x, self.center) < self.size
        elif self.game.deepest:
            nearer = nearer | (margins < self.margin)
        lower = ~self.broken & (margins < self.margin)
        better = torch.where(breaks, nearer, lower) & self.game.ball.holds(x, self.room)
        places = better.nonzero().squeeze(1)
        self._confirm(x, margins, places[breaks[places]])
        breaks = is_broken(margins)
        places = places[(breaks | (margins < self.margin))[places]]
        self.best[places], self.margin[places] = x[places], margins[places]
        self._break(places[breaks[places]])

    def _break(self, places: Tensor) -> None:
        """Note that the points that are kept of these rows break."""
        self.broken[places] = True
        self.size[places] = self.game.ball.distance(self.best[places], self.center[places])

    def _confirm(self, x: Tensor, margins: Tensor, places: Tensor) -> None:
        """Ask the model again about the points that seem to break, in a pass of their own."""
        if len(places):
            with torch.no_grad():
                margins[places] = margin(self._forward(x[places]), self.labels[places])
            self.columns["forwards"][places] += 1


def slope_of(values: Tensor, x: Tensor, *, retain: bool = False) -> Tensor:
    """The gradient of each value at its own point; zeros where nothing depends on it."""
    if not values.requires_grad:
        return torch.zeros_like(x)
    (slope,) = torch.autograd.grad(values.sum(), [x], retain_graph=retain, allow_unused=True)
    return torch.zeros_like(x) if slope is None else slope


def _below(first: dict[str, Tensor], second: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: torch.cat([column, second[name]]) for name, column in first.items()}
