"""Under bfloat16 on a processor, layers too small to gain from it stay in float32."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional

# A product in bfloat16 costs 15 us before it computes anything; below about this many
# multiplications that is more than it saves (measured with torch 2.13 and AVX-512 bf16).
_FEWEST_MULTIPLICATIONS = 1_500_000


class Linear(nn.Linear):
    """A linear layer that computes in float32 also where autocast is on."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - as torch calls it
        """The outputs, in float32."""
        enabled = torch.is_autocast_enabled("cpu")
        torch.set_autocast_enabled("cpu", False)
        try:
            return functional.linear(input.float(), self.weight, self.bias)
        finally:
            torch.set_autocast_enabled("cpu", enabled)


@contextmanager
def small_layers_in_float32(model: nn.Module, batch_size: int) -> Iterator[None]:
    """Inside the block, small `torch.nn.Linear` layers of the model ignore autocast.

    Subclasses of it are left alone. Weights, names and state dictionaries are the same.
    """
    small = [
        module
        for module in model.modules()
        if type(module) is nn.Linear
        and module.weight.dtype == torch.float32
        and batch_size * module.weight.numel() < _FEWEST_MULTIPLICATIONS
    ]
    for module in small:
        module.__class__ = Linear
    try:
        yield
    finally:
        for module in small:
            module.__class__ = nn.Linear
