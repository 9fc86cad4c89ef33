"""Random search for inputs of any shape: it asks for outputs alone."""

from dataclasses import dataclass
from math import isfinite
from typing import final

import torch
from torch import Tensor

from wellposed.errors import require
from wellposed.perturb._attack import Attack
from wellposed.perturb._ball import Ball, flat, like_rows
from wellposed.perturb._objective import Margin
from wellposed.perturb._rows import Rows

_POWER = {"linf": 0.0, "l2": 0.5, "l1": 1.0}  # norm of k coordinates of one size: k to 1/p


@final
@dataclass(frozen=True)
class RandomSearch(Attack):
    r"""Random changes of some coordinates are kept unless they raise the margin.

    $$x' = P\big(x + 2\varepsilon\, s^{1/p}\, v(\xi)\big)$$

    with the projection P onto ball and bounds, the steepest direction v of the norm, and random
    numbers $\xi$ on a share s of the coordinates, zeros elsewhere; $\log s$ is uniform from one
    coordinate to half of them. In the maximum norm these coordinates jump to a corner of the ball.
    A proposal that changes nothing is kept as well, so that the search drifts across plateaus,
    where there is no gradient. For images `Square` needs fewer queries.

    Args:
        queries: How many proposals an example that does not break sees, at least 1.
        restarts: How often an example that does not break is attacked, at least 1.

    Raises:
        ArgumentError: Outside these ranges, and on its call for an infinite radius.

    Cost: per restart at most 1 + queries forward passes, and one at the inputs. No gradient.

    References:
        Andriushchenko, Croce, Flammarion and Hein, Square attack, 2019, arXiv:1912.00049, for
        random search with jumps to the corners; sets of single coordinates are ours.
    """

    queries: int = 1000
    restarts: int = 1

    def __post_init__(self) -> None:
        require(self.queries >= 1, f"RandomSearch needs queries of at least 1, got {self.queries}")
        require(self.restarts >= 1, f"RandomSearch needs restarts of at least 1: {self.restarts}")

    def length(self, ball: Ball) -> int:
        """The start, and the proposals."""
        require(isfinite(ball.eps), "RandomSearch needs a finite radius, got eps=inf")
        return self.queries + 1

    def rounds(self, _classes: int) -> int:
        """The restarts."""
        return self.restarts

    def start(self, rows: Rows) -> None:
        """All coordinates at random."""
        noise = rows.uniform(flat(rows.center).shape[1]) - 0.5
        x = _moved(rows, rows.center, noise, torch.ones_like(noise[:, 0]))
        rows.state |= {
            "x": rows.told(x, rows.project),
            "value": torch.full_like(rows.margin, -torch.inf),  # the first point is taken
        }

    def step(self, rows: Rows) -> None:
        """A proposal, its margin, and whether it is taken."""
        state, x = rows.state, rows.state["x"]
        proposed = torch.where(like_rows(rows.clock == 0, x), x, _proposed(rows, x))
        value = rows.value(proposed, Margin()).to(state["value"])
        taken = value >= state["value"]
        state["x"] = torch.where(like_rows(taken, x), proposed, x)
        state["value"] = torch.where(taken, value, state["value"])


def _proposed(rows: Rows, x: Tensor) -> Tensor:
    """Another point, different on some coordinates."""
    d = flat(x).shape[1]
    numbers = rows.uniform(2 * d + 1)
    least = 1 / d
    share = least * (max(0.5, least) / least) ** numbers[:, 0]
    chance, noise = numbers[:, 1 : d + 1], numbers[:, d + 1 :] - 0.5
    chosen = (chance < share.unsqueeze(1)) | (chance == chance.amin(1, keepdim=True))
    return _moved(rows, x, torch.where(chosen, noise, 0), share)


def _moved(rows: Rows, x: Tensor, noise: Tensor, share: Tensor) -> Tensor:
    ball = rows.game.ball
    size = 2 * ball.eps * share ** _POWER[ball.norm]
    direction = ball.steepest(noise.view_as(x))
    return rows.project(x.double() + like_rows(size, x) * direction)
