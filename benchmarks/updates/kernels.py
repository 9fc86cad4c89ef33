"""What torch's own kernels cost on a list of tensors: the floor under any update made of them."""

from collections.abc import Callable

import torch
from torch import Tensor

STREAMS = {
    "sgd": 5,  # weights, gradient, momentum read; weights, momentum written
    "adamw": 7,  # the same with two moments
    "blend": 3,  # y += w (x - y): y, x read; y written
    "add": 3,
    "product": 3,
    "scale": 2,
    "copy": 2,
    "norm": 1,
    "normal": 1,  # normal numbers written
    "stencil": 5,  # out = a + w b, then out += w c: a (b, c within reach) read; out written,
    # read and written again
}
"""Reads and writes of n floats that a pass over the weights takes."""


def passes(shapes: list[tuple[int, ...]]) -> dict[str, Callable[[], None]]:
    """Each pass over tensors of these shapes, by the fastest exact list operation of torch."""

    def made() -> list[Tensor]:
        return [torch.randn(shape) * 0.01 for shape in shapes]

    y, g, b, x, v = made(), made(), made(), made(), made()
    flat = torch.zeros(sum(t.numel() for t in y))
    other = torch.zeros_like(flat)
    generator = torch.Generator()

    def sgd(to: list[Tensor], by: list[Tensor], buffers: list[Tensor], **how: float) -> None:
        torch._fused_sgd_(
            to, by, buffers, momentum=0.9 if buffers else 0.0, dampening=0.0,
            nesterov=bool(buffers), maximize=False, is_first_step=False, **how,
        )  # fmt: skip

    def stencil() -> None:
        torch.add(flat[1:-1], flat[2:], alpha=0.3, out=other[1:-1])
        other[1:-1].add_(flat[:-2], alpha=0.3)

    return {
        "sgd": lambda: sgd(y, g, b, lr=1e-6, weight_decay=0.0),
        "blend": lambda: sgd(y, x, [], lr=-1e-3, weight_decay=-1.0),
        "add": lambda: torch._foreach_add_(y, g, alpha=1e-6),
        "product": lambda: torch._foreach_mul_(v, x),
        "scale": lambda: torch._foreach_mul_(b, 0.999),
        "copy": lambda: torch._foreach_copy_(v, x),
        "norm": lambda: torch._foreach_norm(g),
        "normal": lambda: flat.normal_(0.0, 1e-4, generator=generator),
        "stencil": stencil,
    }
