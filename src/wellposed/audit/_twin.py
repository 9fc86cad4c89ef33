"""A copy of the network in float64, on which derivatives can be told from rounding."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from wellposed.audit._subject import Subject
from wellposed.errors import ArgumentError, in_a_line, require
from wellposed.regularizers import Point


@final
@dataclass(frozen=True)
class Twin:
    """A copy of a network in eval mode, with a few examples, in one precision.

    Args:
        model: The copy; it may be changed.
        inputs: Shape (n, ...).
        targets: Shape (n, ...).
        losses: (outputs, targets) -> losses per example, shape (n,).
        penalty: (inputs) -> the regularizer on the copy, shape ().
        eps: Relative rounding of the least precise step on the way from inputs to losses.
    """

    model: nn.Module
    inputs: Tensor
    targets: Tensor
    losses: Callable[[Tensor, Tensor], Tensor]
    penalty: Callable[[Tensor], Tensor]
    eps: float

    @property
    def precision(self) -> str:
        """The name of the precision: "float64"."""
        return next(str(t)[6:] for t in _PRECISIONS if torch.finfo(t).eps >= self.eps)

    @property
    def parameters(self) -> list[nn.Parameter]:
        """Those of the copy that training changes."""
        return [p for p in self.model.parameters() if p.requires_grad]

    @torch.no_grad()
    def grain(self) -> float:
        """How close two values of the objective can be told apart, where it is near 0.

        A loss ends in sums of terms of the size of the outputs, or of 1 (the largest exponential of
        a softmax): 1 + exp(-60) rounds to 1, and its logarithm is 0 around there, with slope 0,
        whereas autograd gives a slope of exp(-60).
        """
        outputs = self.model(self.inputs)
        return self.eps * max(1.0, float(outputs.abs().max()))

    def objective(self, inputs: Tensor) -> Tensor:
        """Mean loss + R(w), shape ()."""
        return self.losses(self.model(inputs), self.targets).mean() + self.penalty(inputs)


_PRECISIONS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)


def twin(subject: Subject, check: str, n: int, part: str | None = None) -> Twin:
    """A copy of the subject's network in float64, with n examples.

    A network that cannot be evaluated in float64, because it asks for float32 somewhere, comes in
    float32; `eps` is what its least precise step rounds to.

    Cost: a forward pass per example, and a copy of the weights.

    Args:
        subject: What is examined.
        check: Who asks, for the error.
        n: At most so many examples.
        part: Of which part of the data; by default the training part, or the part judged.

    Raises:
        ArgumentError: If the network cannot be copied, or fails in each precision.
    """
    inputs, targets = subject.take(
        part or ("train" if "train" in subject.parts else subject.judged), n
    )
    fault = ""
    for dtype in (torch.float64, torch.float32, None):
        made = _copied(subject, check, dtype, inputs, targets)
        seen = _Seen()
        try:
            with torch.no_grad(), seen:
                value = made.objective(made.inputs)
        except Exception as error:  # noqa: BLE001 - a user's module may raise anything
            fault = fault or in_a_line(error)
            continue
        require(
            bool(torch.isfinite(value)),
            f"{check} differentiates the objective, which is not finite on {len(inputs)} "
            "examples; see the check of the weights",
        )
        if dtype is torch.float64 and seen.eps > torch.finfo(torch.float64).eps:
            continue  # some step is in float32 all the same: then let all of them be
        return replace(made, eps=seen.eps)
    raise ArgumentError(f"{check} works on a copy of the network, which fails: {fault}")


def _copied(
    subject: Subject, check: str, dtype: torch.dtype | None, inputs: Tensor, targets: Tensor
) -> Twin:
    try:
        given = (subject.model, subject.loss, subject.regularizer)
        model, loss, regularizer = copy.deepcopy(given, _cut_off(subject.model))
    except Exception as error:
        raise ArgumentError(
            f"{check} works on a copy of the network, and copy.deepcopy cannot copy it: "
            f"{in_a_line(error)}"
        ) from error
    model = model.eval() if dtype is None else model.eval().to(dtype)
    if isinstance(loss, nn.Module) and dtype is not None:
        loss.to(dtype)
    x = inputs.to(dtype) if inputs.is_floating_point() and dtype is not None else inputs
    y = targets.to(dtype) if targets.is_floating_point() and dtype is not None else targets

    def losses(outputs: Tensor, labels: Tensor) -> Tensor:
        found: Tensor = loss(outputs, labels)
        require(
            found.shape == outputs.shape[:1],
            f"the loss gives shape {tuple(found.shape)} for {len(outputs)} examples; an audit "
            "needs one value per example: a torch loss takes reduction='none'",
        )
        return found

    def penalty(batch: Tensor) -> Tensor:
        if regularizer is None:
            return torch.zeros((), dtype=dtype, device=batch.device)
        value: Tensor = regularizer(Point(model, batch, y, loss))
        return value

    return Twin(model, x, y, losses, penalty, 0.0)


def _cut_off(model: nn.Module) -> dict[int, Any]:
    """Copies of tensors that a module keeps from its last forward pass, which have a graph.

    `copy.deepcopy` refuses them; weight normalization of the older kind keeps its weight so.
    """
    kept = [v for m in model.modules() for v in vars(m).values() if isinstance(v, Tensor)]
    return {id(v): v.detach().clone() for v in kept if not v.is_leaf}


class _Seen(TorchDispatchMode):
    """The largest relative rounding of any operation with more than one floating-point result."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.eps = float(torch.finfo(torch.float64).eps)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        del types
        found = func(*args, **(kwargs or {}))
        for value in found if isinstance(found, tuple | list) else (found,):
            if isinstance(value, Tensor) and value.is_floating_point() and value.numel() > 1:
                self.eps = max(self.eps, float(torch.finfo(value.dtype).eps))
        return found
