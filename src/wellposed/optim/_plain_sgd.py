"""The SGD that is inside when no other optimizer is named."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD

from wellposed.optim._base import evaluate
from wellposed.optim._buckets import BUFFER, by_kind, fusible, same_layout


@dataclass(slots=True)
class _Moving:
    """The parameters of a group that have a gradient, as parallel lists.

    Args:
        params: The parameters.
        grads: Their gradients.
        buffers: Their momentum, None before it has begun.
        safe: Whether a fused kernel may be given all of this.
        alike: Whether one call of it does: all on one device and in one dtype.
    """

    params: list[Tensor]
    grads: list[Tensor]
    buffers: list[Tensor | None]
    safe: bool
    alike: bool

    def is_one_call(self, group: dict[str, Any]) -> bool:
        """Whether a fused kernel, called once, does the group's whole step."""
        return (
            self.safe
            and self.alike
            and (group["momentum"] == 0 or all(b is not None for b in self.buffers))
            and not isinstance(group["lr"], Tensor)
        )


class PlainSGD(SGD):
    """Torch's SGD: fused wherever that is safe, else tensor by tensor.

    Torch's third way, by lists, adds Nesterov momentum to the gradients of the model, where
    whoever reads them after the step would find it. Fused kernels walk through memory without a
    look at strides, so it is decided anew whenever parameters, gradients or momentum change
    their layout.
    """

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step of SGD."""
        loss = evaluate(closure)
        listed = [(group, self._moving(i, group)) for i, group in enumerate(self.param_groups)]
        for group, moving in listed:
            group["fused"], group["foreach"] = moving.safe, False
        if not all(moving.is_one_call(group) for group, moving in listed):
            super().step()
            return loss
        with torch.no_grad():  # what torch's step comes to, without sorting the tensors again
            for group, moving in listed:
                if moving.params:
                    _fused(group, moving)
        return loss

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self._known: dict[int, tuple[list[int], list[tuple[int, ...]], bool, bool]] = {}

    def _moving(self, index: int, group: dict[str, Any]) -> _Moving:
        """What of a group moves in this step, and whether fused kernels may be given it."""
        if "_known" not in self.__dict__:
            self._known = {}
        params = [p for p in group["params"] if p.grad is not None]
        grads = [p.grad for p in params]
        ids, strides = list(map(id, params)), list(map(Tensor.stride, params))
        known = self._known.get(index)
        if known is None or known[0] != ids or known[1] != strides:
            alike = len(by_kind(params)) <= 1
            known = self._known[index] = ids, strides, all(map(fusible, params)), alike
        state = self.state
        buffers = [state[p].get(BUFFER) if p in state else None for p in params]
        warm = [(s, b) for s, b in zip(strides, buffers, strict=True) if b is not None]
        safe = (
            known[2]
            and len(warm) in {0, len(params)}  # one kernel knows one "first step"
            and all(g.layout == torch.strided for g in grads)
            and same_layout(strides, grads)
            and same_layout([s for s, _ in warm], [b for _, b in warm])
        )
        return _Moving(params, grads, buffers, safe, known[3])


def _fused(group: dict[str, Any], moving: _Moving) -> None:
    torch._fused_sgd_(
        moving.params,
        moving.grads,
        moving.buffers if group["momentum"] != 0 else [],  # type: ignore[arg-type]
        lr=group["lr"],
        weight_decay=group["weight_decay"],
        momentum=group["momentum"],
        dampening=group["dampening"],
        nesterov=group["nesterov"],
        maximize=group["maximize"],
        is_first_step=False,
    )
