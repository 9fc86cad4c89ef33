"""What closures answer, checked before anything is done with it."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor

from wellposed.errors import ArgumentError, require


def ask(closure: Callable[[], Any] | None, name: str, form: str) -> Any:
    """The closure's answer.

    Args:
        closure: Given to `step`.
        name: Of the optimizer, for messages.
        form: What its closure is to do, in words.

    Raises:
        ArgumentError: If there is none.
    """
    if closure is None:
        raise ArgumentError(f"{name}.step() got no closure; give it one that {form}")
    return closure()


def scalar(answer: Any, name: str, *, graph: bool = False) -> Tensor:
    """The loss, if it is one finite number in a tensor.

    Args:
        answer: Of the closure.
        name: Of the optimizer, for messages.
        graph: Whether it has to come with its graph.

    Raises:
        ArgumentError: If it is something else.
    """
    if not isinstance(answer, Tensor):
        raise ArgumentError(
            f"the closure of {name} returned a {type(answer).__name__}; it returns the loss, a "
            "tensor with one number"
        )
    require(
        answer.numel() == 1,
        f"the closure of {name} returned a tensor of shape {tuple(answer.shape)}; it returns one "
        "number, try .mean()",
    )
    value = float(answer.detach())
    require(
        math.isfinite(value),
        f"the closure of {name} returned a loss of {value} at the present weights; the weights "
        "were not changed, look at the sample and at the step before",
    )
    require(
        not graph or answer.requires_grad,
        f"the closure of {name} returned a loss without a graph; it is computed from the weights, "
        "with gradients enabled and without detach() or item()",
    )
    return answer


@contextmanager
def backward_explained(name: str) -> Iterator[None]:
    """Say what is wrong where the graph was consumed by the closure.

    Raises:
        ArgumentError: Instead of torch's error about a second backward pass.
    """
    try:
        yield
    except RuntimeError as error:
        if "second time" not in str(error):
            raise
        raise ArgumentError(
            f"the closure of {name} called backward(), which uses the graph up; it returns the "
            "loss and leaves the derivatives to the optimizer"
        ) from error
