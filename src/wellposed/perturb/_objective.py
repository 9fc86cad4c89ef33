"""An objective: what an attack makes large, one value per example."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy

from wellposed.errors import ArgumentError, require


def class_logits(outputs: object, n: int) -> Float[Tensor, "n classes"]:
    """A model's outputs as one logit per class, in float32 at least.

    One logit z per example, of shape (n,) or (n, 1), becomes (0, z): class 1 if z is above 0.

    Raises:
        ArgumentError: For what is no tensor of such a shape.
    """
    if not isinstance(outputs, Tensor):
        raise ArgumentError(
            f"an attack needs a model that returns a tensor of logits, got a "
            f"{type(outputs).__name__}; wrap the model so that it returns its logits"
        )
    logits = outputs.unsqueeze(1) if outputs.dim() == 1 else outputs
    require(
        logits.dim() == 2 and len(logits) == n and logits.shape[1] > 0,
        f"an attack needs logits of shape ({n}, classes) or one logit for each of {n} examples, "
        f"got {tuple(outputs.shape)}; wrap the model so that it returns these",
    )
    if logits.dtype not in {torch.float32, torch.float64}:
        logits = logits.float()
    if logits.shape[1] == 1:
        logits = torch.cat([torch.zeros_like(logits), logits], 1)
    return logits


def margin(logits: Float[Tensor, "n classes"], labels: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
    r"""$z_y - \max_{j \ne y} z_j$, by which the right class leads; NaN where a logit is NaN."""
    right = labels.unsqueeze(1)
    others = logits.scatter(1, right, -torch.inf)
    return logits.gather(1, right).squeeze(1) - others.max(1).values


def is_broken(margins: Float[Tensor, " n"]) -> Bool[Tensor, " n"]:
    """Whether the right class does not lead: ties and NaN count as broken."""
    return ~(margins > 0)


class Objective(ABC):
    """A function of logits and labels, one value per example, that an attack makes large.

    One of your own is a frozen dataclass of its parameters: a checkpoint knows it by its `repr`.
    """

    @abstractmethod
    def __call__(
        self, logits: Float[Tensor, "n classes"], labels: Int[Tensor, " n"]
    ) -> Float[Tensor, " n"]:
        """The values.

        Args:
            logits: At least two per example.
            labels: The right classes, from 0.
        """


@final
@dataclass(frozen=True)
class Margin(Objective):
    r"""$\max_{j \ne y} z_j - z_y$, or $z_t - z_y$ for a target t: positive where it is broken.

    Its gradient does not vanish where the network is sure, as that of cross-entropy does in
    float32 beyond a lead of about 17.

    Args:
        target: A class per example, shape (n,); None takes the best wrong one.
    """

    target: Int[Tensor, " n"] | None = None

    def __call__(
        self, logits: Float[Tensor, "n classes"], labels: Int[Tensor, " n"]
    ) -> Float[Tensor, " n"]:
        """The lead of the wrong class, in logits."""
        if self.target is None:
            return -margin(logits, labels)
        return _at(logits, self.target) - _at(logits, labels)


@final
@dataclass(frozen=True)
class CrossEntropy(Objective):
    r"""$-\log p_y$ with $p = \mathrm{softmax}(z)$, as most libraries attack.

    Beyond a lead of about 17 in float32 its gradient is exactly zero: large logits blind it.
    """

    def __call__(
        self, logits: Float[Tensor, "n classes"], labels: Int[Tensor, " n"]
    ) -> Float[Tensor, " n"]:
        """The cross-entropy, in nats."""
        return cross_entropy(logits, labels, reduction="none")


@final
@dataclass(frozen=True)
class DLR(Objective):
    r"""The difference of logits ratio: the margin in a unit that the logits themselves set.

    $$-\frac{z_y - \max_{j \ne y} z_j}{z_{(1)} - z_{(3)}} \qquad\text{or}\qquad
    -\frac{z_y - z_t}{z_{(1)} - (z_{(3)} + z_{(4)})/2}$$

    for a target t, with the logits sorted downwards. It does not change when all logits are
    multiplied or shifted. It needs three classes, with a target four.

    Args:
        target: A class per example, shape (n,); None takes the best wrong one.

    Raises:
        ArgumentError: On its call, if there are fewer classes.

    References:
        Croce and Hein, Reliable evaluation of adversarial robustness with an ensemble of diverse
        parameter-free attacks, 2020, arXiv:2003.01690.
    """

    target: Int[Tensor, " n"] | None = None

    def __call__(
        self, logits: Float[Tensor, "n classes"], labels: Int[Tensor, " n"]
    ) -> Float[Tensor, " n"]:
        """The ratio; without a target it is at least 0 exactly where an example is broken."""
        least, classes = 3 if self.target is None else 4, logits.shape[1]
        require(
            classes >= least,
            f"DLR needs at least {least} classes here, got {classes}; take Margin",
        )
        top = logits.topk(least, 1).values
        lowest = top[:, 2:].mean(1)
        span = top[:, 0] - lowest
        span = torch.where(span > 0, span, torch.ones_like(span))
        if self.target is None:
            return -margin(logits, labels) / span
        return (_at(logits, self.target) - _at(logits, labels)) / span


def _at(logits: Tensor, classes: Tensor) -> Tensor:
    return logits.gather(1, classes.unsqueeze(1)).squeeze(1)
