"""The problem: one small object that says the formula."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

from jaxtyping import Float, Shaped
from torch import Tensor, nn

from wellposed.losses import Loss, mean_per_example
from wellposed.regularizers import Point, Regularizer


@final
@dataclass(frozen=True, slots=True)
class Terms:
    """The parts of the objective on one batch, for loops that also want the error or the loss.

    Args:
        outputs: f(x; w), shape (batch, ...); those at perturbed inputs where a regularizer that
            trains on them (`AdversarialTraining`) needs no others.
        targets: y, shape (batch, ...).
        penalty: R(w), shape (); 0 without a regularizer, and where it is not computed apart.
        objective: Mean loss + penalty, shape (): what is differentiated.
        loss: Of the problem.
    """

    outputs: Tensor
    targets: Tensor
    penalty: Float[Tensor, ""]
    objective: Float[Tensor, ""]
    loss: Callable[[Tensor, Tensor], Tensor]

    @property
    def losses(self) -> Float[Tensor, " batch"]:
        """Value of the loss per example, computed from the outputs when asked for."""
        return self.loss(self.outputs, self.targets)


@final
@dataclass(frozen=True, slots=True)
class Problem:
    r"""What is to be minimized, over the weights w of the model.

    $$\min_w\; \mathbb{E}_{(x, y) \sim \text{data}}\; \ell(f(x; w), y) + R(w)$$

    Training, audit and comparison all take this object; none of them is needed to use it.
    Evaluating the objective and its gradient on a batch is one gradient evaluation per example,
    besides what a regularizer says that it costs.

    Args:
        data: Where examples come from, a `wellposed.data.Dataset`; the objective does not look
            at it, so any object does for a loop of your own.
        model: f, from inputs (batch, ...) to outputs (batch, ...).
        loss: (outputs, targets) -> losses per example, shape (batch,), not averaged: a
            `wellposed.losses.Loss`, or a torch loss with `reduction="none"`.
        regularizer: R, or None for 0.

    Raises:
        ArgumentError: If the loss of a batch is not one value per example.
    """

    data: Any
    model: nn.Module
    loss: Callable[[Tensor, Tensor], Tensor]
    regularizer: Regularizer | None = None

    def objective(
        self, inputs: Float[Tensor, "batch ..."], targets: Shaped[Tensor, "batch ..."]
    ) -> Float[Tensor, ""]:
        """Mean loss over the batch + R(w), shape (); differentiate this."""
        return self.parts(inputs, targets).objective

    def parts(
        self, inputs: Float[Tensor, "batch ..."], targets: Shaped[Tensor, "batch ..."]
    ) -> Terms:
        """The parts of the objective on one batch, from one forward pass.

        A regularizer that perturbs the inputs takes more passes, and shares this one.
        """
        at = Point(self.model, inputs, targets, self.loss)
        whole = None if self.regularizer is None else self.regularizer.whole(at)
        if whole is not None:
            return Terms(whole.outputs, targets, whole.penalty, whole.objective, self.loss)
        outputs = self.model(inputs)
        if isinstance(self.loss, Loss):
            mean = self.loss.mean(outputs, targets)
        else:
            mean = mean_per_example(self.loss(outputs, targets), outputs)
        if self.regularizer is None:
            return Terms(outputs, targets, mean.new_zeros(()), mean, self.loss)
        penalty = self.regularizer(at)
        return Terms(outputs, targets, penalty, mean + penalty, self.loss)
