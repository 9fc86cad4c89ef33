"""What every optimizer of ours does first: ask the closure, once."""

from collections.abc import Callable
from typing import Any

import torch


def evaluate(closure: Callable[[], Any] | None) -> Any:
    """The loss from a closure that recomputes it and its gradient, called once; else None."""
    if closure is None:
        return None
    with torch.enable_grad():
        return closure()
