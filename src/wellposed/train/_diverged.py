"""What went wrong when the objective stopped being a number: found by repeating the last steps."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from wellposed.train._steps import Step


class _FoundError(Exception):
    """Ends a diagnostic step at the first number that is none."""


def first_culprit(model: nn.Module, steps: Iterable[Step]) -> str | None:
    """Take steps under observation until something is not finite, and say what.

    Looked at, in the order in which they are computed: the weights, the inputs, the output of
    each layer, the objective, and the gradient of each weight.

    Args:
        model: In a state from before the fault.
        steps: The steps to take on it, from `wellposed.train.steps`.

    Returns:
        What was not finite, such as "gradient of head.weight"; None if all was.

    Cost: the steps, and one synchronization per layer and weight in each.
    """
    with _watched(model):
        try:
            for step in steps:
                if not torch.isfinite(step.objective).item():
                    return "the loss or the penalty, where all outputs are finite"
            _check_weights(model)
        except _FoundError as found:
            return str(found)
    return None


@contextmanager
def _watched(model: nn.Module) -> Iterator[None]:
    """Hooks on the model that raise at the first number that is none; removed after the block."""
    hooks = [model.register_forward_pre_hook(_check_start)]
    for name, module in model.named_modules():
        if not any(module.children()):
            what = f"output of {name or 'the model'} ({type(module).__name__})"
            hooks.append(module.register_forward_hook(partial(_check_output, what)))
    hooks.append(model.register_forward_hook(partial(_check_output, "output of the model")))
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            check = partial(_check_gradient, f"gradient of {name}")
            hooks.append(weight.register_post_accumulate_grad_hook(check))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _check_start(model: nn.Module, inputs: tuple[Any, ...]) -> None:
    """Raise `_FoundError` if a weight or an input is not finite."""
    _check_weights(model)
    for value in inputs:
        if isinstance(value, Tensor):
            _require_finite(value, "the inputs of the batch")


def _check_weights(model: nn.Module) -> None:
    """Raise `_FoundError` if a weight is not finite, though its gradient was."""
    for name, weight in model.named_parameters():
        _require_finite(weight, f"{name}, after a finite gradient: the update overflowed")


def _check_output(what: str, _module: nn.Module, _inputs: Any, output: Any) -> None:
    """Raise `_FoundError` if a layer's output is not finite."""
    if isinstance(output, Tensor):
        _require_finite(output, what)


def _check_gradient(what: str, weight: Tensor) -> None:
    """Raise `_FoundError` if the gradient of a weight is not finite."""
    if weight.grad is not None:
        _require_finite(weight.grad, what)


def _require_finite(value: Tensor, what: str) -> None:
    """Raise unless all of it is finite.

    Raises:
        _FoundError: With the name of what is not.
    """
    if not torch.isfinite(value).all().item():
        raise _FoundError(what)
