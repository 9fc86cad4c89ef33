"""Solve periodic constant-coefficient difference equations on many vectors, in a few passes."""

from cmath import asinh, exp, pi, sqrt
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

_BLOCK = 1 << 17
"""On a processor, how many entries go through all passes at a time, so that they stay in cache."""


@dataclass(frozen=True, slots=True)
class Factors:
    r"""The inverse of $I + (-1)^p \sigma \Delta^p$ as a product of short symmetric stencils.

    The symbol has p pairs of roots $s_j^{\pm 1}$, $|s_j| < 1$, and for each
    $(1 - s)^{-1} = (1 + s)(1 + s^2)(1 + s^4) \cdots$, so pass k has neighbours $2^k$ apart.

    Args:
        stencils: For each pass, the weights of the p neighbours on either side; the middle has 1.
        scale: By what to multiply at the end, so that the sum is preserved.
        reach: How many entries away, on either side, all passes together look.
    """

    stencils: tuple[tuple[float, ...], ...]
    scale: float
    reach: int


@lru_cache(maxsize=64)
def factors(sigma: float, order: int, dtype: torch.dtype) -> Factors:
    """The factors down to the rounding of this dtype.

    Args:
        sigma: At least 0.
        order: p of the equation, at least 1.
        dtype: A real or complex floating dtype.
    """
    if sigma == 0:
        return Factors((), 1.0, 0)
    tiny = torch.finfo(dtype).eps / 4
    # 1 + sigma z^p = 0 for z = 2 - s - 1/s, s = exp(-u): stable also where s is close to 1.
    turns = [exp(1j * pi * (2 * j + 1) / order) for j in range(order)]
    exponents = [2 * asinh(sqrt(-turn * sigma ** (-1 / order)) / 2) for turn in turns]
    stencils, scale, stride = [], 1.0, 1
    while max(abs(exp(-u * stride)) for u in exponents) > tiny:
        product = [1 + 0j]
        for u in exponents:
            s = exp(-u * stride)
            product = _times(product, [s, 1 + s * s, s])
        weights = [c.real / product[order].real for c in product[order + 1 :]]
        stencils.append(tuple(weights))
        scale /= 1 + 2 * sum(weights)
        stride *= 2
    return Factors(tuple(stencils), scale, order * (stride - 1))


def _times(a: list[complex], b: list[complex]) -> list[complex]:
    """The product of two polynomials."""
    product = [0j] * (len(a) + len(b) - 1)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            product[i + j] += x * y
    return product


class PeriodicSolver:
    """Solves for tensors of these shapes at once, each flattened and periodic by itself.

    They lie one after the other in one buffer, each between copies of its ends as far as the
    stencils reach, so the number of operations depends on neither the number of tensors nor,
    but for its logarithm, the reach. On a processor, long buffers are worked on in blocks that
    stay in its cache. Twice the memory of the tensors is kept.

    Args:
        like: Tensors on one device.
        dtype: In which to compute.
        reach: Of the factors that will be used.
    """

    def __init__(self, like: list[Tensor], dtype: torch.dtype, reach: int) -> None:
        device = like[0].device
        sizes = [t.numel() for t in like]
        total = sum(sizes) + 2 * reach * len(like)
        self.reach = reach
        self.buffers = [torch.zeros(total, dtype=dtype, device=device) for _ in range(2)]
        self.scratch: list[Tensor] = []
        if device.type == "cpu" and total > 2 * _BLOCK and reach < _BLOCK // 8:
            self.scratch = [torch.zeros(_BLOCK + 2 * reach, dtype=dtype) for _ in range(2)]
        self.views: list[list[Tensor]] = [[], []]
        ends, sources, start = [], [], 0
        for t, n in zip(like, sizes, strict=True):
            middle = start + reach
            for views, buffer in zip(self.views, self.buffers, strict=True):
                views.append(buffer[middle : middle + n].view(t.shape))
            if n > 0:
                around = torch.cat([torch.arange(-reach, 0), torch.arange(n, n + reach)])
                ends.append(middle + around)
                sources.append(middle + around % n)
            start = middle + n + reach
        empty = torch.zeros(0, dtype=torch.int64)
        self.ends = torch.cat([empty, *ends]).to(device)
        self.sources = torch.cat([empty, *sources]).to(device)

    def solve(self, tensors: list[Tensor], by: Factors) -> list[Tensor]:
        """The solutions, in memory of the solver; valid until the next call."""
        source, target = self.buffers
        torch._foreach_copy_(self.views[0], tensors)
        source.index_copy_(0, self.ends, source.index_select(0, self.sources))
        if not self.scratch:
            found = _passes(source, target, source, by)
            found.mul_(by.scale)
            return self.views[0] if found is source else self.views[1]
        around, first, last = self.reach, self.reach, len(source) - self.reach
        for start in range(first, last, _BLOCK):
            stop = min(start + _BLOCK, last)
            piece = source[start - around : stop + around]
            room = [buffer[: len(piece)] for buffer in self.scratch]
            found = _passes(piece, room[0], room[1], by)
            torch.mul(found[around : len(piece) - around], by.scale, out=target[start:stop])
        return self.views[1]


def _passes(source: Tensor, target: Tensor, other: Tensor, by: Factors) -> Tensor:
    """All stencils of the factors but their scale, each on the result of the one before.

    Args:
        source: To begin with.
        target: Of the same length, for the results of the first stencil, the third and so on.
        other: For those of the second, the fourth and so on; may be the source.
        by: The factors.

    Returns:
        That of the three with the result, which lacks the reach of the factors at either end.
    """
    low, high, stride = 0, len(source), 1
    for weights in by.stencils:
        low, high = low + stride * len(weights), high - stride * len(weights)
        inner = target[low:high]
        terms = [(i * stride, w) for i, w in enumerate(weights, 1)]
        shifts = [(d, w) for distance, w in terms for d in (-distance, distance)]
        first, *rest = [(source[low + d : high + d], w) for d, w in shifts]
        torch.add(source[low:high], first[0], alpha=first[1], out=inner)
        for shifted, w in rest:
            inner.add_(shifted, alpha=w)
        source, target, other = target, other, target
        stride *= 2
    return source
