"""What every optimizer of ours does first, ask the closure; and what each with a base shares."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from torch.optim import Optimizer


def evaluate(closure: Callable[[], Any] | None) -> Any:
    """The loss from a closure that recomputes it and its gradient, called once; else None."""
    if closure is None:
        return None
    with torch.enable_grad():
        return closure()


def stateless(base: Optimizer | None) -> Optimizer | None:
    """The base without its state, to be copied or pickled; its owner has the same state.

    Torch's optimizers, when copied, expect of a parameter with any state that it has theirs,
    which is not so where the owner has put something there before their first step.
    """
    if base is None:
        return None
    twin: Optimizer = object.__new__(type(base))
    twin.__dict__ |= base.__dict__
    twin.state = defaultdict(dict)
    return twin
