"""The SGD that is inside when no other optimizer is named."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD

from wellposed.optim._buckets import BUFFER, fusible, same_layout


class PlainSGD(SGD):
    """Torch's SGD: fused wherever that is safe, else tensor by tensor.

    Torch's third way, by lists, adds Nesterov momentum to the gradients of the model, where
    whoever reads them after the step would find it. Fused kernels walk through memory without a
    look at strides, so it is decided anew whenever parameters, gradients or momentum change
    their layout.
    """

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step of SGD."""
        for index, group in enumerate(self.param_groups):
            group["fused"] = self._is_safe(
                index, [p for p in group["params"] if p.grad is not None]
            )
            group["foreach"] = False
        return super().step(closure)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self._known: dict[int, tuple[list[int], list[tuple[int, ...]], bool]] = {}

    def _is_safe(self, index: int, params: list[Tensor]) -> bool:
        """Whether fused kernels may be given these parameters."""
        if "_known" not in self.__dict__:
            self._known = {}
        ids, strides = list(map(id, params)), [p.stride() for p in params]
        known = self._known.get(index)
        if known is None or known[:2] != (ids, strides):
            known = self._known[index] = ids, strides, all(map(fusible, params))
        buffers = [self.state[p].get(BUFFER) if p in self.state else None for p in params]
        warm = [(s, b) for s, b in zip(strides, buffers, strict=True) if b is not None]
        return (
            known[2]
            and len(warm) in {0, len(params)}  # one kernel knows one "first step"
            and all(p.grad is not None and p.grad.layout == torch.strided for p in params)
            and same_layout(strides, [p.grad for p in params if p.grad is not None])
            and same_layout([s for s, _ in warm], [b for _, b in warm])
        )
