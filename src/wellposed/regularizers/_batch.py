"""What the regularizers have in common that look at the batch."""

from abc import abstractmethod
from dataclasses import replace
from typing import Any, final

import torch
from torch import Tensor, nn

from wellposed.errors import ArgumentError, require
from wellposed.regularizers._base import Evaluated, Point, Regularizer
from wellposed.regularizers._still import still


class BatchRegularizer(Regularizer):
    """R(w) of the batch at hand, which shares forward passes with the loss.

    A subclass evaluates the whole objective; the value of R alone, for loops that have the loss
    already, follows from it. Batch norm's running statistics see one forward pass of an objective,
    the one that stands for the batch, and none of R alone.

    Gradients are those of the parameters: directions and points that were searched for are held
    fixed in them. Where derivatives are switched off, values come without graphs.
    """

    @abstractmethod
    def evaluate(self, at: Point, inputs: Tensor) -> Evaluated:
        """The objective on the batch, with gradients enabled; `inputs` are the point's in float."""

    @final
    def whole(self, at: Point) -> Evaluated:
        """Mean loss + R, what both need computed once."""
        recording = torch.is_grad_enabled()
        with torch.enable_grad():
            found = self.evaluate(_copying(at), _inputs(at, type(self).__name__))
        if recording:
            return found
        return Evaluated(found.outputs.detach(), found.penalty.detach(), found.objective.detach())

    def alone(self, at: Point, inputs: Tensor) -> Tensor:
        """R by itself, shape (), in the same place."""
        return self.evaluate(at, inputs).penalty

    @final
    def __call__(self, at: Point) -> Tensor:
        """R alone, shape (); it leaves the network's buffers as they are."""
        recording = torch.is_grad_enabled()
        with torch.enable_grad(), still(at.model):
            found = self.alone(_copying(at), _inputs(at, type(self).__name__))
        return found if recording else found.detach()


@final
class _Copying(nn.Module):
    """A network that is given copies, as it may write into what it is given.

    What is differentiated by, or looked at from several points, must stay as it is.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.training = model.training

    def forward(self, inputs: Any) -> Any:
        """What the network makes of a copy."""
        return self.model(inputs.clone() if isinstance(inputs, Tensor) else inputs)


def _copying(at: Point) -> Point:
    return replace(at, model=_Copying(at.model))


def _inputs(at: Point, owner: str) -> Tensor:
    """The inputs, in at least float32: a perturbation can be smaller than the steps of bfloat16.

    Raises:
        ArgumentError: If there is no batch, or it is not of real numbers.
    """
    if at.inputs is None or at.targets is None:
        raise ArgumentError(
            f"{owner} looks at the batch, and this point has none; give inputs and targets"
        )
    require(
        at.inputs.is_floating_point(),
        f"{owner} differentiates by the inputs, and these are {at.inputs.dtype}; convert them to "
        "real numbers first, bytes by inputs / 255",
    )
    return at.inputs.float() if at.inputs.element_size() < 4 else at.inputs


def require_weight(owner: str, weight: float) -> None:
    """Refuse a strength that is none."""
    require(
        0 <= weight < float("inf"), f"{owner} needs a finite weight >= 0, got weight={weight:g}"
    )
