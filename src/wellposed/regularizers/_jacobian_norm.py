"""The Jacobian of the outputs by the inputs, in the Frobenius norm."""

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from wellposed.errors import require
from wellposed.regularizers._base import Evaluated, Point
from wellposed.regularizers._batch import BatchRegularizer, require_weight
from wellposed.regularizers._still import differentiable, generator_of


@final
@dataclass(frozen=True, slots=True)
class JacobianNorm(BatchRegularizer):
    r"""The Frobenius norm of the Jacobian of the outputs by the inputs, squared.

    $$R = \tfrac{\lambda}{2}\, \mathbb{E} \|J\|_F^2, \qquad J = \partial f(x; w) / \partial x$$

    It asks for outputs that change little around each input, whatever the label. The norm is
    estimated without bias by random projections: $\|J\|_F^2 = C\, \mathbb{E}_v \|J^\top v\|_2^2$
    for v uniform on the unit sphere of the C outputs. In eval mode the draw is a fixed one.

    Args:
        weight: $\lambda \ge 0$.
        projections: Draws of v per example, at least 1; None takes the C unit vectors instead of
            random ones, which gives the norm exactly.

    Raises:
        ArgumentError: If one is outside its range.

    Cost: F + Bx per projection, and their gradient: about one more B per projection.

    References:
        Hoffman, Roberts and Yaida, Robust learning with Jacobian regularization, 2019,
        arXiv:1908.02729.
    """

    weight: float
    projections: int | None = 1

    citation: ClassVar[str] = """\
@article{hoffman2019robust,
  author = {Hoffman, Judy and Roberts, Daniel A. and Yaida, Sho},
  title = {Robust learning with {J}acobian regularization},
  journal = {arXiv preprint arXiv:1908.02729},
  year = {2019}
}"""

    def __post_init__(self) -> None:
        require_weight("JacobianNorm", self.weight)
        require(
            self.projections is None or self.projections >= 1,
            f"JacobianNorm needs projections >= 1, got projections={self.projections}; None for "
            "the exact norm",
        )

    @property
    def gradients(self) -> int:
        """That of the loss, and per projection one by the inputs and its own."""
        return 1 + 2 * (self.projections or 1)  # how many outputs there are is not known here

    def evaluate(self, at: Point, inputs: Tensor) -> Evaluated:
        """See the class."""
        x = differentiable(inputs)
        outputs = at.model(x)
        squares = [_square(outputs, x, v) for v in self._directions(at, outputs)]
        share = 1.0 if self.projections is None else outputs[0].numel() / self.projections
        penalty = 0.5 * self.weight * share * torch.stack(squares).sum(0).mean()
        return Evaluated(outputs, penalty, at.losses(outputs).mean() + penalty)

    def _directions(self, at: Point, outputs: Tensor) -> list[Tensor]:
        """One unit vector per example and projection, each of the shape of the outputs."""
        flat = outputs.detach().flatten(1)
        if self.projections is None:
            units = torch.eye(flat.shape[1], dtype=flat.dtype, device=flat.device)
            return [unit.expand_as(flat).view_as(outputs) for unit in units]
        generator = generator_of(at.model, flat.device)
        drawn = (
            torch.empty_like(flat).normal_(generator=generator) for _ in range(self.projections)
        )
        return [torch.nn.functional.normalize(v, dim=1).view_as(outputs) for v in drawn]


def _square(outputs: Tensor, x: Tensor, direction: Tensor) -> Tensor:
    """The squared norm of J'v per example."""
    (found,) = torch.autograd.grad(outputs, x, direction, create_graph=True)
    return found.flatten(1).square().sum(1)
