"""How much the direction of the input gradient turns within the ball."""

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from wellposed.regularizers._adversary import Bounds, Norm, ball_of, require_within
from wellposed.regularizers._base import Evaluated, Point
from wellposed.regularizers._batch import BatchRegularizer, require_weight
from wellposed.regularizers._still import differentiable, generator_of, still


@final
@dataclass(frozen=True, slots=True)
class GradientAlignment(BatchRegularizer):
    r"""How much the direction of the loss's gradient by the inputs turns within the ball.

    $$R = \lambda\, \mathbb{E} [1 - \cos(\nabla_x \ell(x), \nabla_x \ell(x + \eta))]$$

    $\eta$ is a random point of the ball. Where the two gradients point the same way the loss is
    close to linear in the ball, so that a single step finds its maximum there: added to
    single-step `AdversarialTraining` it prevents catastrophic overfitting. An example with a
    gradient of zero counts as aligned. In eval mode the draw is a fixed one.

    Args:
        weight: $\lambda \ge 0$.
        eps: Radius > 0 of the ball, in the units of the inputs.
        norm: "linf", "l2" or "l1".
        bounds: Least and greatest value of an input.

    Raises:
        ArgumentError: If one is outside its range; when used, if an input is outside the bounds.

    Cost: 2F + 2Bx and their gradient instead of F + B, about three to four times a plain step; in
    a sum with adversarial training that comes on top.

    References:
        Andriushchenko and Flammarion, Understanding and improving fast adversarial training, 2020,
        arXiv:2007.02617.
    """

    weight: float
    eps: float
    norm: Norm = "linf"
    bounds: Bounds = (0.0, 1.0)

    citation: ClassVar[str] = """\
@inproceedings{andriushchenko2020understanding,
  author = {Andriushchenko, Maksym and Flammarion, Nicolas},
  title = {Understanding and improving fast adversarial training},
  booktitle = {Advances in Neural Information Processing Systems},
  year = {2020}
}"""

    def __post_init__(self) -> None:
        require_weight("GradientAlignment", self.weight)
        ball_of(self.norm, self.eps, "GradientAlignment")

    @property
    def gradients(self) -> int:
        """Two by the inputs, their own, and that of the loss."""
        return 5

    def evaluate(self, at: Point, inputs: Tensor) -> Evaluated:
        """See the class."""
        x = differentiable(inputs)
        outputs = at.model(x)
        losses = at.losses(outputs)
        (here,) = torch.autograd.grad(losses.sum(), x, create_graph=True)
        ball = ball_of(self.norm, self.eps, "GradientAlignment")
        generator = generator_of(at.model, inputs.device)
        require_within(inputs.detach(), self.bounds)
        center = inputs.detach().clamp(*self.bounds)
        move = ball.random(center, self.bounds, generator) - center
        moved = differentiable(inputs + move)
        with still(at.model):
            (there,) = torch.autograd.grad(
                at.losses(at.model(moved)).sum(), moved, create_graph=True
            )
        penalty = self.weight * (1 - _cosine(here, there)).mean()
        return Evaluated(outputs, penalty, losses.mean() + penalty)


def _cosine(one: Tensor, other: Tensor) -> Tensor:
    """The cosine of the angle per example; each is scaled first, as small as gradients can be."""
    a, b = (_scaled(g.flatten(1)) for g in (one, other))
    a_norm, b_norm = (torch.linalg.vector_norm(v, dim=1) for v in (a, b))
    turned = (a_norm > 0) & (b_norm > 0)
    return torch.where(turned, (a * b).sum(1) / torch.where(turned, a_norm * b_norm, 1.0), 1.0)


def _scaled(gradient: Tensor) -> Tensor:
    largest = gradient.detach().abs().amax(1, keepdim=True)
    return gradient / torch.where(largest > 0, largest, 1.0)
