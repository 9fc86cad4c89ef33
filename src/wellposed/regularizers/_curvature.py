"""The curvature of the loss in the inputs, by a finite difference of gradients."""

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from wellposed.errors import require
from wellposed.perturb import L2, Linf
from wellposed.regularizers._base import Evaluated, Point
from wellposed.regularizers._batch import BatchRegularizer, require_weight
from wellposed.regularizers._still import differentiable, still


@final
@dataclass(frozen=True, slots=True)
class Curvature(BatchRegularizer):
    r"""How much the gradient of the loss by the inputs changes where adversaries go.

    $$R = \gamma\, \mathbb{E} \|\nabla_x \ell(x + h z) - \nabla_x \ell(x)\|_2^2$$

    The direction is $z = \mathrm{sign}(\nabla_x \ell) / \|\mathrm{sign}(\nabla_x \ell)\|_2$, held
    fixed: along it adversaries of the maximum norm go, and there the loss is most curved. To
    first order in h, $R = \gamma h^2\, \mathbb{E} \|H z\|_2^2$ with the Hessian H of the loss by
    the inputs.

    Args:
        weight: $\gamma \ge 0$.
        h: Length of the step, > 0, in the units of the inputs and the Euclidean norm: 1.5 moves
            each of 784 pixels by 0.05.

    Raises:
        ArgumentError: If one is outside its range.

    Cost: 2F + 2Bx and their gradient instead of F + B, about three to four times a plain step.

    References:
        Moosavi-Dezfooli, Fawzi, Uesato and Frossard, Robustness via curvature regularization, and
        vice versa, 2018, arXiv:1811.09716.
    """

    weight: float
    h: float

    citation: ClassVar[str] = """\
@inproceedings{moosavi2019robustness,
  author = {Moosavi-Dezfooli, Seyed-Mohsen and Fawzi, Alhussein and Uesato, Jonathan and
            Frossard, Pascal},
  title = {Robustness via curvature regularization, and vice versa},
  booktitle = {Conference on Computer Vision and Pattern Recognition},
  year = {2019}
}"""

    def __post_init__(self) -> None:
        require_weight("Curvature", self.weight)
        require(
            0 < self.h < float("inf"),
            f"Curvature needs a finite length h > 0, got h={self.h:g}; try 1.5",
        )

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
        direction = L2(1.0).steepest(Linf(1.0).steepest(here.detach()))
        moved = differentiable(inputs + self.h * direction)
        with still(at.model):
            ahead = at.losses(at.model(moved))
        (there,) = torch.autograd.grad(ahead.sum(), moved, create_graph=True)
        penalty = self.weight * (there - here).flatten(1).square().sum(1).mean()
        return Evaluated(outputs, penalty, losses.mean() + penalty)
