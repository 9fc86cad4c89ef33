"""Calls of the modules of a network, in the order in which they end."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, final

from torch import Tensor, nn


@final
@dataclass(frozen=True)
class Call:
    """One call of a module.

    Args:
        name: Of the module, dotted; "" is the network itself.
        module: The module.
        args: Positional arguments as they were when it was called.
        kwargs: The others.
        output: What it gave.
    """

    name: str
    module: nn.Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    output: Any

    @property
    def place(self) -> str:
        """Its name and class: "block.1 (Scale)"."""
        kind = type(self.module).__name__
        return f"{self.name} ({kind})" if self.name else f"the network ({kind})"


@contextmanager
def traced(model: nn.Module, *, inputs: bool = False) -> Iterator[list[Call]]:
    """Every call inside the block, the inner before the outer; hooks are gone after it.

    Args:
        model: The network.
        inputs: Whether arguments are kept, as copies: a module may write into them.
    """
    calls: list[Call] = []
    handles = []
    started: dict[nn.Module, list[tuple[Any, Any]]] = {}

    def before(module: nn.Module, args: Any, kwargs: Any) -> None:
        kept = (kept_copy(args), kept_copy(kwargs)) if inputs else ((), {})
        started.setdefault(module, []).append(kept)

    for name, module in model.named_modules():

        def after(module: nn.Module, _: Any, __: Any, output: Any, name: str = name) -> None:
            args, kwargs = started[module].pop()
            calls.append(Call(name, module, args, kwargs, kept_copy(output)))

        handles.append(module.register_forward_pre_hook(before, with_kwargs=True))
        handles.append(module.register_forward_hook(after, with_kwargs=True))
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def tensors_in(value: Any) -> list[Tensor]:
    """All tensors in nested tuples, lists and mappings, in their order."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, tuple | list):
        return [tensor for item in value for tensor in tensors_in(item)]
    return []


def swapped(value: Any, tensors: list[Tensor]) -> Any:
    """The same nest with other tensors, taken off the front of the list in their order."""
    if isinstance(value, Tensor):
        return tensors.pop(0)
    if isinstance(value, Mapping):
        return {key: swapped(item, tensors) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(swapped(item, tensors) for item in value))
    if isinstance(value, tuple | list):
        return type(value)(swapped(item, tensors) for item in value)
    return value


def kept_copy(value: Any) -> Any:
    """The same nest with copies of its tensors, cut off from any graph."""
    return swapped(value, [tensor.detach().clone() for tensor in tensors_in(value)])
