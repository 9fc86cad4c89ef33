"""A base optimizer that sees other gradients than the model has."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from wellposed.errors import require
from wellposed.optim._around import Around
from wellposed.optim._base import evaluate
from wellposed.optim._buckets import by_kind


class Transformed(Around, ABC):
    """Transform the gradients, let the base optimizer step with them, put the gradients back.

    Gradients are transformed group by group, those of one device and dtype together. The base
    gets them in the dtype and the memory layout of the parameter. A parameter without a gradient
    stays without.
    """

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step of the base optimizer with the transformed gradients.

        Args:
            closure: Recomputes the loss and its gradient; called exactly once.

        Returns:
            What the closure returned, or None. Gradients that cannot be transformed, sparse ones
            and shards of tensors, are refused by an `ArgumentError`.
        """
        loss = evaluate(closure)
        kept: list[tuple[Tensor, Tensor]] = []
        with torch.no_grad():
            try:
                for index, group in enumerate(self.param_groups):
                    if self.is_active(group):
                        kept += self._swap(index, group)
                    self.advance(group)
                self.base_step()
            finally:
                for p, grad in kept:
                    p.grad = grad
        return loss

    @abstractmethod
    def is_active(self, group: dict[str, Any]) -> bool:
        """Whether the gradients of this group are transformed now; if not, nothing is done."""

    @abstractmethod
    def transform(
        self, index: int, group: dict[str, Any], params: list[Tensor], grads: list[Tensor]
    ) -> list[Tensor]:
        """Other gradients, in memory of their own.

        Args:
            index: The group's number.
            group: The group.
            params: Parameters of it that have gradients, of one device and dtype.
            grads: The gradients.
        """

    def advance(self, group: dict[str, Any]) -> None:
        """Count the step, where the transformation depends on it."""

    def _swap(self, index: int, group: dict[str, Any]) -> list[tuple[Tensor, Tensor]]:
        """Give the parameters of a group their new gradients; return what they had."""
        kept: list[tuple[Tensor, Tensor]] = []
        moving = [p for p in group["params"] if p.grad is not None]
        for same in by_kind(moving):
            params = [moving[i] for i in same]
            grads = [p.grad for p in params if p.grad is not None]
            for p, grad in zip(params, grads, strict=True):
                _check(self, p, grad)
            made = self.transform(index, group, params, grads)
            for p, grad, new in zip(params, grads, made, strict=True):
                kept.append((p, grad))
                p.grad = new if _alike(new, p) else torch.empty_like(p).copy_(new)
        return kept


def _alike(new: Tensor, p: Tensor) -> bool:
    """Whether a parameter may have this tensor as its gradient, whatever the base does with it."""
    return new.dtype == p.dtype and new.stride() == p.stride()


def _check(optimizer: Transformed, p: Tensor, grad: Tensor) -> None:
    """Refuse gradients whose entries are not all here."""
    if type(p) in {Tensor, Parameter} and grad.layout == torch.strided:
        return  # without the cost of sentences that nobody will read
    name = type(optimizer).__name__
    require(
        type(p) in {Tensor, Parameter},
        f"{name} got parameters that are {type(p).__name__}s; it works on whole plain tensors, "
        "try the base optimizer alone",
    )
    require(
        grad.layout == torch.strided,
        f"{name} got a sparse gradient; it changes every entry, try sparse=False in the embedding",
    )
