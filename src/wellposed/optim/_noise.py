"""Gaussian noise that is a function of where the training stands, not of what was drawn before."""

import torch
from torch import Tensor

_MASK = (1 << 64) - 1


def counter_seed(*counters: int) -> int:
    """One 64-bit seed from several counters; distinct counters give unrelated seeds.

    Each counter is added to the state of a SplitMix64 generator, whose output function is a
    bijection of 64-bit words (Steele, Lea and Flood, 2014).
    """
    state = 0
    for counter in counters:
        state = (state + 0x9E3779B97F4A7C15 + counter) & _MASK
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
        state ^= state >> 31
    return state


class CounterNoise:
    """Standard normal numbers for a list of tensors, the same for the same counters.

    Nothing has to be saved to resume, and the global generators are left alone. All numbers come
    from one draw into one buffer, which is kept: a copy of the tensors' memory, and a number of
    operations that does not grow with the number of tensors. A tensor's numbers depend on its
    place in the list, not on which other tensors take part in a step.

    Args:
        like: The tensors to be perturbed, on one device.
        dtype: Of the numbers.
    """

    def __init__(self, like: list[Tensor], dtype: torch.dtype) -> None:
        sizes = [t.numel() for t in like]
        device = like[0].device
        self.generator = torch.Generator(device)
        self.buffer = torch.empty(sum(sizes), dtype=dtype, device=device)
        self.views = [
            part.view(t.shape) for part, t in zip(self.buffer.split(sizes), like, strict=True)
        ]

    def draw(self, std: float, *counters: int) -> list[Tensor]:
        """Normal numbers of this standard deviation; valid until the next draw.

        Complex ones have it in their real and in their imaginary parts.
        """
        self.generator.manual_seed(counter_seed(*counters))
        parts = torch.view_as_real(self.buffer) if self.buffer.is_complex() else self.buffer
        parts.normal_(0.0, std, generator=self.generator)
        return self.views
