"""FAB: along the boundary of two classes towards its point nearest to the input."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from wellposed.errors import require
from wellposed.perturb._attack import Attack
from wellposed.perturb._ball import Ball, flat, like_rows
from wellposed.perturb._hyperplane import onto_hyperplane
from wellposed.perturb._objective import Margin, is_broken, margin
from wellposed.perturb._rows import Rows

_LEAST = 1e-8  # of the two distances to the hyperplane, whose ratio is taken


@final
@dataclass(frozen=True)
class FAB(Attack):
    r"""The fast adaptive boundary attack, once per target class.

    Where $f = z_t - z_y$ is replaced by its linear part at $x_k$, its zeros are a hyperplane, and
    the nearest points of it within the bounds are $x_k + d_k$ and, from the input, $x + e_k$. Then

    $$x_{k+1} = (1 - \alpha)(x_k + \eta\, d_k) + \alpha\,(x + \eta\, e_k), \qquad
    \alpha = \min\Big(\frac{\|d_k\|}{\|d_k\| + \|e_k\|},\; \alpha_{\max}\Big)$$

    clipped to the bounds. A point that breaks is noted, and the search goes on from
    $x + \beta (x_{k+1} - x)$. The iterates may leave the ball; what is returned lies in it. The
    targets are the wrong classes in the order of their logits at the input.

    Args:
        steps: Per target, at least 1.
        targets: How many classes are tried, at least 1; at most all wrong ones.
        alpha_max: How strongly an iterate is pulled to the input, in [0, 1].
        eta: How far beyond the hyperplane, at least 1.
        beta: What is left of a perturbation that breaks, in (0, 1).
        smallest: Whether to look for the nearest point that breaks, with all steps and targets,
            and not to stop at the first one inside the ball. The radius may then be infinite.

    Raises:
        ArgumentError: Outside these ranges.

    Cost: at most targets * steps gradients and as many forward passes per example, and one forward
    pass at the inputs.

    References:
        Croce and Hein, Minimally distorted adversarial examples with a fast adaptive boundary
        attack, 2019, arXiv:1907.02044; with one class at a time as in AutoAttack, 2020,
        arXiv:2003.01690.
    """

    steps: int = 100
    targets: int = 9
    alpha_max: float = 0.1
    eta: float = 1.05
    beta: float = 0.9
    smallest: bool = False

    def __post_init__(self) -> None:
        require(self.steps >= 1, f"FAB needs at least 1 step, got steps={self.steps}")
        require(self.targets >= 1, f"FAB needs at least 1 target, got {self.targets}")
        require(0 <= self.alpha_max <= 1, f"FAB needs alpha_max in [0, 1], got {self.alpha_max}")
        require(self.eta >= 1, f"FAB needs eta >= 1, got eta={self.eta}")
        require(0 < self.beta < 1, f"FAB needs beta in (0, 1), got beta={self.beta}")

    def length(self, _ball: Ball) -> int:
        """Each step asks about the point that it finds."""
        return self.steps

    def rounds(self, classes: int) -> int:
        """The targets, as far as there are wrong classes."""
        return min(self.targets, classes - 1)

    def start(self, rows: Rows) -> None:
        """At the input, with the next wrong class as the target."""
        low, high = rows.faces
        order = rows.clean.argsort(dim=1, descending=True, stable=True)
        rows.state |= {
            "x": rows.told(rows.center.clone(), lambda x: x.clamp(low, high)),
            "target": order.gather(1, rows.round.unsqueeze(1) + 1).squeeze(1),
        }

    def step(self, rows: Rows) -> None:
        """The hyperplane, the next point, and whether it breaks."""
        state, x = rows.state, rows.state["x"]
        values, slopes = rows.slopes(x, [Margin(state["target"])])
        moves, alpha = self._moves(rows, values[:, 0].double(), flat(slopes[:, 0]).double())
        share = like_rows(alpha, x)
        ahead, near = (place.double() + self.eta * move for place, move in moves)
        low, high = rows.faces
        new = ((1 - share) * ahead + share * near).to(x).clamp(low, high)
        broke = is_broken(margin(rows.logits(new), rows.labels))
        back = (rows.center + self.beta * (new - rows.center)).clamp(low, high)
        state["x"] = torch.where(like_rows(broke, x), back, new)

    def _moves(
        self, rows: Rows, value: Tensor, slope: Tensor
    ) -> tuple[list[tuple[Tensor, Tensor]], Tensor]:
        """Iterate and input, each with its way onto the hyperplane, and the input's share."""
        ball, faces = rows.game.ball, rows.faces
        x = rows.state["x"]
        offset = (slope * flat(rows.center.double() - x.double())).sum(1)
        moves, lengths = [], []
        for place, gap in ((x, -value), (rows.center, -value - offset)):
            low, high = (flat(face.double() - place.double()) for face in faces)
            move = onto_hyperplane(ball.norm, slope, gap, low, high).view_as(place)
            moves.append((place, move))
            lengths.append(ball.distance(move, torch.zeros_like(move)).clamp_min(_LEAST))
        return moves, (lengths[0] / (lengths[0] + lengths[1])).clamp_max(self.alpha_max)
