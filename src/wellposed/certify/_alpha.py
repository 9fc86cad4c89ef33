"""Lines below ReLU whose slopes are chosen for each margin, by gradient ascent."""

import torch
from torch import Tensor

from wellposed.certify._activation import LeakyReLU
from wellposed.certify._bounds import Bounds
from wellposed.certify._substitution import Rows, Substitution
from wellposed.certify._window import Window, channels_last

_RATE = 0.25
_DECAY = 0.95


def ascend(bounds: Bounds, coefficients: Tensor, images: Tensor, steps: int) -> Tensor:
    """The best lower bound of each row that some steps of Adam on its slopes find.

    Every step's bound is proven, with whatever slopes; a row needs no more once it is positive,
    and the ascent ends when all are.

    Args:
        bounds: Of every value.
        coefficients: Of the output, shape (rows, *output).
        images: The example of each row.
        steps: Of the ascent; each costs three to four times a row taken back.

    References:
        Xu et al., Fast and complete: enabling complete verification with rapid and massively
        parallel incomplete verifiers, 2021, arXiv:2011.13824.
    """
    slopes, least = _start(bounds, images)
    last = len(bounds.graph.operations) - 1
    best = torch.full((len(coefficients),), -torch.inf, dtype=torch.float64)
    if not slopes:
        return best
    ascent = torch.optim.Adam(list(slopes.values()), lr=_RATE, betas=(0.5, 0.9), maximize=True)
    schedule = torch.optim.lr_scheduler.ExponentialLR(ascent, _DECAY)
    substitution = Substitution(bounds, slopes=slopes)
    for _ in range(steps):
        rows = Rows({last: Window(channels_last(coefficients))}, best.new_zeros(len(best)), images)
        with torch.enable_grad():
            found = substitution.lower(rows)
            total = found.sum()
        best = torch.maximum(best, found.detach())
        if (best > 0).all():
            break
        ascent.zero_grad()
        total.backward()
        ascent.step()
        schedule.step()
        with torch.no_grad():
            for number, slope in slopes.items():
                slope.copy_(torch.maximum(slope, least[number][0]).minimum(least[number][1]))
    return best


def _start(
    bounds: Bounds, images: Tensor
) -> tuple[dict[int, Tensor], dict[int, tuple[Tensor, Tensor]]]:
    """The default slopes for each row, and the range each may move in: none where decided."""
    slopes: dict[int, Tensor] = {}
    ranges: dict[int, tuple[Tensor, Tensor]] = {}
    for number, operation in enumerate(bounds.graph.operations):
        if isinstance(operation, LeakyReLU):
            [source] = operation.inputs
            low, high = bounds.low[source][images], bounds.high[source][images]
            mixed = operation.open(low, high)
            if mixed.any():
                first, _ = operation.slopes(low, high)
                slopes[number] = channels_last(first).contiguous().requires_grad_()
                floor = torch.where(mixed, operation.slope, first)
                ceiling = torch.where(mixed, 1.0, first)
                ranges[number] = channels_last(floor), channels_last(ceiling)
    return slopes, ranges
