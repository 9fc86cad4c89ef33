"""What the methods for a large, fixed sample have in common."""

import warnings
from collections.abc import Iterable
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT

from wellposed.errors import require
from wellposed.optim._effort import KEYS, Effort
from wellposed.optim._kept import Kept

_ROUNDING = 10.0  # units in the last place by which a mean over a sample is uncertain


class LargeSample(Optimizer):
    """Base of the deterministic methods: one vector of weights, and a closure that is a function.

    Args:
        params: Parameters, or one parameter group.
        defaults: Of the method, beside the counts of `effort` and the `outcome` of the last step.

    Raises:
        ArgumentError: If there are no weights, several groups, or weights of several kinds.
    """

    form: ClassVar[str]  # what its closure does, in words, after "one that"
    by_hand: ClassVar[str] = ""  # why a recipe cannot run it, and how to; "" if it can
    searches: ClassVar[bool] = True  # whether a line search needs the very gradient of the loss
    citation: ClassVar[str]

    def __init__(self, params: ParamsT, defaults: dict[str, Any]) -> None:
        given = params if isinstance(params, Tensor) else list(params)
        require(
            isinstance(given, Tensor) or bool(given),
            f"{type(self).__name__} got no weights; give it model.parameters()",
        )
        counts = dict.fromkeys(KEYS, 0)
        super().__init__(given, {**defaults, **counts, "outcome": ""})  # type: ignore[arg-type]

    @property
    def effort(self) -> Effort:
        """What all steps so far have spent; it is in the state dictionary."""
        return Effort.of(self.param_groups[0])

    @property
    def outcome(self) -> str:
        """How the last step ended: "accepted", "stationary", "rounding", "no decrease", "lr=0"."""
        return str(self.param_groups[0]["outcome"])

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Take the one group; a second is refused.

        Raises `ArgumentError` if there is one already, or its weights are of several kinds.
        """
        name = type(self).__name__
        require(
            not self.param_groups,
            f"{name} got a second parameter group; all weights are one vector to it, try "
            "model.parameters()",
        )
        super().add_param_group(param_group)
        self._check_kinds(self.param_groups[0]["params"])

    def _check_kinds(self, weights: Iterable[Tensor]) -> None:
        """Refuse what does not make one vector on which a line search can work."""
        name = type(self).__name__
        kinds = {(str(w.dtype).removeprefix("torch."), str(w.device)) for w in weights}
        require(
            len(kinds) <= 1,
            f"{name} got weights of several kinds ({', '.join(sorted(map(' on '.join, kinds)))}); "
            "all weights are one vector to it, try model.to() with one type and device",
        )
        require(
            all(dtype in {"float32", "float64"} for dtype, _ in kinds),
            f"{name} got weights of type {next(iter(kinds))[0] if kinds else ''}; differences of "
            "losses need at least float32, try model.float()",
        )

    def _weights(self) -> list[Tensor]:
        """The weights that may move, in their order."""
        weights = [w for w in self.param_groups[0]["params"] if w.requires_grad]
        name = type(self).__name__
        require(bool(weights), f"{name} has no weight that requires a gradient; unfreeze one")
        self._check_kinds(weights)
        return weights

    def _count(self, **spent: int) -> None:
        """Add to the counts of `effort`."""
        for key, number in spent.items():
            self.param_groups[0][key] += number

    def _finite(self, gradient: Tensor) -> float:
        """The norm of the gradient, which has to be finite."""
        norm = float(gradient.norm())
        require(
            norm < float("inf"),  # false for nan as well
            f"the gradient of {type(self).__name__} is not finite although the loss is; the "
            "weights were not changed, look for a square root, a norm or a logarithm at 0",
        )
        return norm

    def _is_at_rest(
        self, loss: Tensor, slope: float, direction: Tensor, first: float, kept: Kept
    ) -> bool:
        """Record that there is nothing to search for: no slope, no step, or none that would show.

        Args:
            loss: At the weights.
            slope: Derivative of the loss along the direction, at most 0.
            direction: Shape (n,).
            first: Step length that would be tried first.
            kept: The weights.
        """
        change, step = abs(first * slope), first * float(direction.norm())
        if slope == 0:
            self.param_groups[0]["outcome"] = "stationary"
        elif first == 0:
            self.param_groups[0]["outcome"] = "lr=0"
        elif (
            change <= rounding_of(loss) * abs(float(loss))
            or step <= _ROUNDING * rounding_of(direction) * kept.norm()
        ):
            self.param_groups[0]["outcome"] = "rounding"
        else:
            return False
        return True

    def _no_decrease(self, loss: Tensor, slope: float, again: float) -> None:
        """Record that a line search found nothing, and say so unless rounding explains it.

        Args:
            loss: At the weights, before the search.
            slope: Derivative of the loss along the longest step that was tried.
            again: The loss at the same weights, evaluated again.
        """
        group, name = self.param_groups[0], type(self).__name__
        before = float(loss)
        if again == before and abs(slope) <= _ROUNDING * rounding_of(loss) * abs(before):
            group["outcome"] = "rounding"
            return
        group["outcome"] = "no decrease"
        why = "the loss may have a kink here, or the gradient may not be its derivative"
        if again != before:
            why = (
                f"the closure gives {again:.9g} at the weights where it gave {before:.9g}, so it "
                "is no function of the weights: take dropout and augmentation out, or fix the seed"
            )
        warnings.warn(
            f"{name} found no decrease along its direction (slope {slope:.3g}) and left the "
            f"weights as they were; {why}",
            RuntimeWarning,
            stacklevel=4,
        )


def rounding_of(value: Tensor) -> float:
    """Relative rounding error of a number of this type."""
    return torch.finfo(value.dtype).eps
