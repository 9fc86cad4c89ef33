"""Random directions in the space of the weights, each a function of its counters."""

import torch
from torch import Tensor

from wellposed.optim._noise import counter_seed

CHUNK = 1 << 20
"""How many numbers are drawn from one seed: what is drawn at a time stays below 8 MiB."""


def draw(like: Tensor, size: int, distribution: str, *counters: int) -> Tensor:
    """Independent numbers of mean 0 and variance 1, in float64 or else float32, shape (size,).

    Args:
        like: Says on which device and for which precision.
        size: How many.
        distribution: "rademacher" (-1 or 1) or "gaussian".
        counters: The same counters give the same numbers.
    """
    generator = torch.Generator(like.device).manual_seed(counter_seed(*counters))
    numbers = torch.empty(size, dtype=working_dtype(like), device=like.device)
    if distribution == "gaussian":
        return numbers.normal_(generator=generator)
    return numbers.bernoulli_(0.5, generator=generator).mul_(2).sub_(1)


def direction(p: Tensor, distribution: str, *counters: int) -> Tensor:
    """A direction for one parameter, of its shape; independent of how it lies in memory."""
    sizes = chunk_sizes(p.numel())
    parts = [draw(p, size, distribution, *counters, i) for i, size in enumerate(sizes)]
    return torch.cat(parts).view(p.shape) if len(parts) > 1 else parts[0].view(p.shape)


def chunk_sizes(size: int) -> list[int]:
    """Parts of at most CHUNK numbers, in order; a single 0 for nothing."""
    whole, rest = divmod(size, CHUNK)
    return [CHUNK] * whole + ([rest] if rest or not whole else [])


def working_dtype(p: Tensor) -> torch.dtype:
    """The precision in which directions and updates of a parameter are computed."""
    return torch.float64 if p.dtype == torch.float64 else torch.float32
