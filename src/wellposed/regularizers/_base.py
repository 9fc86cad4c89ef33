"""What every regularizer is, and which parameters count as weights."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import final

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.nn import functional

from wellposed.errors import ArgumentError, require
from wellposed.regularizers._adversary import Adversary

PerExample = Callable[[Tensor, Tensor], Tensor]
cross_entropy: PerExample = partial(functional.cross_entropy, reduction="none")


@final
@dataclass(frozen=True, slots=True)
class Point:
    """Where a regularizer is evaluated: all it may look at.

    Args:
        model: The network f, at its current weights.
        inputs: The batch x, shape (batch, ...), or None where there is none.
        targets: The batch y, or None.
        loss: (outputs, targets) -> losses per example, shape (batch,): that of the objective.
    """

    model: nn.Module
    inputs: Tensor | None = None
    targets: Tensor | None = None
    loss: PerExample = cross_entropy

    @property
    def weights(self) -> Mapping[str, Tensor]:
        """The trainable matrices and filters by name; biases and normalization are left out."""
        return {
            name: p for name, p in self.model.named_parameters() if p.requires_grad and is_weight(p)
        }

    def losses(self, outputs: Tensor) -> Float[Tensor, " batch"]:
        """The loss of each example of the batch at these outputs.

        Raises:
            ArgumentError: If it is not one value per example.
        """
        if self.targets is None:
            raise ArgumentError("the loss needs targets, and this point has none; give the batch y")
        found = self.loss(outputs, self.targets)
        require(
            found.shape == outputs.shape[:1],
            f"a loss gives one value per example, here shape ({len(outputs)},), but got shape "
            f"{tuple(found.shape)}; a torch loss needs reduction='none'",
        )
        return found


@final
@dataclass(frozen=True, slots=True)
class Evaluated:
    """An objective on a batch that a regularizer has evaluated as a whole.

    Args:
        outputs: The outputs that the objective is about, shape (batch, ...): f(x; w), or those at
            the perturbed inputs where f(x; w) is not needed.
        penalty: The share of R in it, shape (); 0 where it is not computed apart.
        objective: Mean loss + R, shape (): what is differentiated.
    """

    outputs: Tensor
    penalty: Float[Tensor, ""]
    objective: Float[Tensor, ""]


class Regularizer(ABC):
    """R(w), a scalar that is added to the mean loss; two of them add up with `+`.

    A subclass is a frozen dataclass whose fields are its strengths.
    """

    @abstractmethod
    def __call__(self, at: Point) -> Float[Tensor, ""]:
        """Value at the current weights, shape ()."""

    def whole(self, at: Point) -> Evaluated | None:  # noqa: ARG002 - of those that override it
        """Mean loss + R in one go, for an R that shares work with the loss; None for all others."""
        return None

    @property
    def gradients(self) -> int:
        """Gradients of a batch that mean loss + R takes; those by the inputs count as others."""
        return 1

    @property
    def adversary(self) -> Adversary | None:
        """Whom training defends against; None if nobody."""
        return None

    @final
    def penalty(
        self,
        model: nn.Module,
        inputs: Float[Tensor, "batch ..."] | None = None,
        targets: Shaped[Tensor, "batch ..."] | None = None,
        loss: PerExample = cross_entropy,
    ) -> Float[Tensor, ""]:
        """R, to be added to the mean loss in a loop of your own."""
        return self(Point(model, inputs, targets, loss))

    @final
    def objective(
        self,
        model: nn.Module,
        inputs: Float[Tensor, "batch ..."],
        targets: Shaped[Tensor, "batch ..."],
        loss: PerExample = cross_entropy,
    ) -> Float[Tensor, ""]:
        """Mean loss + R in a loop of your own; what both need is computed once."""
        at = Point(model, inputs, targets, loss)
        found = self.whole(at)
        if found is not None:
            return found.objective
        return at.losses(model(inputs)).mean() + self(at)

    def __add__(self, other: "Regularizer") -> "Sum":
        """The regularizer whose value is the sum of both values."""
        return Sum((self, other))


class Proximal(Regularizer):
    """A regularizer whose proximal map is cheap, so that it need not be differentiated."""

    @abstractmethod
    def prox_(self, parameters: Sequence[Tensor], step: float) -> None:
        r"""Replace the weights w, in place, by $\arg\min_u R(u) + \|u - w\|^2 / (2\,\text{step})$.

        Args:
            parameters: Any parameters; those that are not weights (biases, scales) stay as they
                are, as they do in the value of R.
            step: Step size > 0 of the gradient step before.
        """

    @abstractmethod
    def merged(self, other: Regularizer) -> "Proximal | None":
        """The sum with another one as one regularizer with a cheap proximal map; None if none."""


@final
@dataclass(frozen=True, slots=True)
class Sum(Regularizer):
    """R = R1 + R2 + ...; made by `+`.

    The proximal map of a sum is known where its terms merge into one that has one, as L1, L2 and
    elastic nets do into an elastic net. It is refused elsewhere: it is not the composition.

    Args:
        terms: The regularizers; a sum among them is opened. At least one.

    Raises:
        ArgumentError: If there is no term.
    """

    terms: tuple[Regularizer, ...]

    def __post_init__(self) -> None:
        flat: list[Regularizer] = []
        for term in self.terms:
            flat.extend(term.terms if isinstance(term, Sum) else (term,))
        require(len(flat) > 0, "Sum needs at least one regularizer, got none")
        object.__setattr__(self, "terms", tuple(flat))

    def __call__(self, at: Point) -> Float[Tensor, ""]:
        """Sum of the values of all terms."""
        return torch.stack([term(at) for term in self.terms]).sum()

    def whole(self, at: Point) -> Evaluated | None:
        """The first term that evaluates the objective as a whole does so; the others are added."""
        for index, term in enumerate(self.terms):
            found = term.whole(at)
            if found is not None:
                rest = [other(at) for other in self.terms[:index] + self.terms[index + 1 :]]
                extra = torch.stack(rest).sum() if rest else found.penalty.new_zeros(())
                return Evaluated(found.outputs, found.penalty + extra, found.objective + extra)
        return None

    @property
    def gradients(self) -> int:
        """One for the loss, and what each term takes besides."""
        return 1 + sum(term.gradients - 1 for term in self.terms)

    @property
    def adversary(self) -> Adversary | None:
        """Of the first term that has one."""
        return next((term.adversary for term in self.terms if term.adversary is not None), None)

    def prox_(self, parameters: Sequence[Tensor], step: float) -> None:
        """Apply the proximal map of the whole sum, in place.

        Raises:
            ArgumentError: If the map of the sum is not known.
        """
        whole = self.terms[0] if isinstance(self.terms[0], Proximal) else None
        for term in self.terms[1:]:
            whole = whole and whole.merged(term)
        if whole is None:
            names = " + ".join(type(term).__name__ for term in self.terms)
            raise ArgumentError(
                f"the proximal map of {names} is not known; it is for sums of L1, L2 and "
                "ElasticNet, so differentiate this one instead"
            )
        whole.prox_(parameters, step)


def is_weight(parameter: Tensor) -> bool:
    """Whether R acts on this parameter: matrices and filters, not biases or scales."""
    return parameter.dim() >= 2
