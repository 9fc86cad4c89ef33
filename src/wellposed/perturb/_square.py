"""Square attack: random squares are kept where they help; it asks for outputs alone."""

from dataclasses import dataclass
from math import isfinite
from typing import final

import torch
from torch import Tensor

from wellposed.errors import require
from wellposed.perturb._attack import Attack
from wellposed.perturb._ball import Ball, like_rows
from wellposed.perturb._objective import Margin
from wellposed.perturb._rows import Rows
from wellposed.perturb._square_moves import begin_pyramids, begin_stripes, moved

_HALVED_AT = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)  # of 10,000 queries
_SCALE = 10_000


@final
@dataclass(frozen=True)
class Square(Attack):
    r"""Random search by squares: no gradients, so that nothing in the model can hide them.

    In the maximum norm an image starts with vertical stripes of $\pm\varepsilon$; a proposal sets
    a random square to $\pm\varepsilon$, one sign per channel. In the other norms it starts with a
    pattern of pyramids, and a proposal moves the whole perturbation of one random window into
    another one, with a new pyramid on top. A proposal is taken if it lowers the margin. The square
    covers a share p of the image, which is halved after 10, 50, 200, 500, 1000, 2000, 4000, 6000
    and 8000 proposals.

    Args:
        queries: How many proposals an image that does not break sees, at least 1.
        share: p at first, in (0, 1].
        rescaled: Whether the schedule is shrunk from 10,000 proposals to `queries`. AutoAttack
            takes it as it is.
        restarts: How often an example that does not break is attacked, at least 1.

    Raises:
        ArgumentError: Outside these ranges; and on its call, for inputs that are no images of
            shape (n, channels, height, width), or for an infinite radius.

    Cost: per restart at most 1 + queries forward passes, and one at the inputs. No gradient.

    References:
        Andriushchenko, Croce, Flammarion and Hein, Square attack: a query-efficient black-box
        adversarial attack via random search, 2019, arXiv:1912.00049; in the L1 norm Croce and
        Hein, Mind the box: l1-APGD for sparse adversarial attacks on image classifiers, 2021,
        arXiv:2103.01208.
    """

    queries: int = 5000
    share: float = 0.8
    rescaled: bool = False
    restarts: int = 1

    def __post_init__(self) -> None:
        require(self.queries >= 1, f"Square needs queries of at least 1, got {self.queries}")
        require(0 < self.share <= 1, f"Square needs a share in (0, 1], got share={self.share}")
        require(self.restarts >= 1, f"Square needs restarts of at least 1, got {self.restarts}")

    def length(self, ball: Ball) -> int:
        """The start, and the proposals."""
        require(isfinite(ball.eps), "Square needs a finite radius, got eps=inf")
        return self.queries + 1

    def rounds(self, _classes: int) -> int:
        """The restarts."""
        return self.restarts

    def start(self, rows: Rows) -> None:
        """Stripes, or pyramids."""
        require(
            rows.center.dim() == 4,
            "Square needs images of shape (n, channels, height, width), got inputs of shape (n, "
            f"{', '.join(str(side) for side in rows.center.shape[1:])}); for a model of flat "
            "inputs give images to nn.Sequential(nn.Flatten(), model)",
        )
        box = rows.game.ball.norm == "linf"
        x = begin_stripes(rows) if box else rows.project(begin_pyramids(rows))
        rows.state |= {
            "x": rows.told(x, rows.project),
            "value": torch.full_like(rows.margin, -torch.inf),  # the first point is taken
        }

    def step(self, rows: Rows) -> None:
        """A proposal, its margin, and whether it is taken."""
        state, first = rows.state, rows.clock == 0
        x = state["x"]
        proposed = torch.where(like_rows(first, x), x, moved(rows, x, self._sides(rows)))
        value = rows.value(proposed, Margin()).to(state["value"])
        better = (value > state["value"]) | (value >= 0)
        state["x"] = torch.where(like_rows(better, x), proposed, x)
        state["value"] = torch.where(better, value, state["value"])

    def _sides(self, rows: Rows) -> Tensor:
        """The side of each row's square in pixels, before any rounding to whole ones."""
        proposal = rows.clock - 1  # the first call looks at the start
        if self.rescaled:
            proposal = (proposal / self.queries * _SCALE).long()
        after = torch.tensor(_HALVED_AT, device=proposal.device)
        halvings = (proposal.unsqueeze(1) > after).sum(1)
        height, width = rows.center.shape[2:]
        return (self.share * 2.0 ** -halvings.double() * height * width).sqrt()
