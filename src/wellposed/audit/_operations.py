"""Work outside of the network, in gradient evaluations of one example."""

import warnings
from contextlib import suppress

import torch
from torch.utils.flop_counter import FlopCounterMode

from wellposed.audit._subject import Subject
from wellposed.audit._untouched import untouched


def as_gradients(subject: Subject, operations: float) -> int:
    """Floating-point operations as gradient evaluations of one example, by counting those of one.

    Where a network's operations cannot be counted, it is taken to use each weight once: 6 for each.

    Args:
        subject: Whose gradient is the unit.
        operations: How many; a product with a sum is two.

    Cost: one gradient evaluation of one example, when it is first asked for.
    """
    return round(operations / subject.cached("operations of a gradient", lambda: _counted(subject)))


def _counted(subject: Subject) -> int:
    inputs, targets = subject.take(subject.judged, 1)
    counter = FlopCounterMode(display=False)
    with suppress(Exception), warnings.catch_warnings(), untouched(subject.model):
        warnings.simplefilter("ignore")
        with counter, subject.quiet():
            value = subject.objective(inputs, targets)
            if value.requires_grad:
                torch.autograd.grad(value, subject.parameters, allow_unused=True)
        if counter.get_total_flops() > 0:
            return int(counter.get_total_flops())
    return max(1, 6 * sum(p.numel() for p in subject.model.parameters()))
