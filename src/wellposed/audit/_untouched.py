"""A network is left exactly as it was found."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

_TABLES = {
    "_parameters": "parameters",
    "_buffers": "buffers",
    "_modules": "parts",
    "_forward_hooks": "hooks",
    "_forward_pre_hooks": "hooks",
    "_backward_hooks": "hooks",
    "_backward_pre_hooks": "hooks",
}
"""Where a module keeps what it is made of, and the word for it."""


@contextmanager
def untouched(model: nn.Module) -> Iterator[list[str]]:
    """Put back weights, buffers, gradients, modes, hooks and random generators after the block.

    Parameters and parts that were replaced, and values of another type (`model.double()`), are put
    back too, and so are generators that a module keeps as an attribute.

    The list that the block is given names, after it, whatever had to be put back: it is empty if
    the block left everything bit by bit as it was. The generators are put back silently, since a
    forward pass with dropout has to draw.

    Cost: a copy of all weights, buffers and gradients, and one comparison.
    """
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    before = {name: (value, _copy(value), value.requires_grad) for name, value in tensors.items()}
    grads = {name: (p, p.grad, _copy(p.grad)) for name, p in model.named_parameters()}
    modules = [
        (name or "the model", m, m.training, _tables(m)) for name, m in model.named_modules()
    ]
    drawn = generators()
    own = [(g, g.get_state()) for m in model.modules() for g in vars(m).values() if _draws(g)]
    changed: list[str] = []
    try:
        yield changed
    finally:
        set_generators(drawn)
        for generator, state in own:
            generator.set_state(state)
        for name, module, mode, tables in modules:
            changed += _module_back(name, module, mode, tables)
        for name, (value, copy, wants) in before.items():
            changed += _values_back(name, value, copy, wants)
        for name, (parameter, held, copy) in grads.items():
            changed += _gradient_back(name, parameter, held, copy)


def _values_back(name: str, value: Tensor, copy: Tensor | None, wants: bool) -> list[str]:  # noqa: FBT001
    found = []
    if value.requires_grad is not wants:
        found.append(f"requires_grad of {name}")
        value.requires_grad_(wants)
    if not same_bits(value, copy):
        found.append(f"the values of {name}")
        _put_back(value, copy)
    return found


def _gradient_back(
    name: str, parameter: Tensor, held: Tensor | None, copy: Tensor | None
) -> list[str]:
    if parameter.grad is held and same_bits(held, copy):
        return []
    if held is not None:
        _put_back(held, copy)
    parameter.grad = held
    return [f"the gradient of {name}"]


def _put_back(value: Tensor, copy: Tensor | None) -> None:
    """The copied values, in the same tensor: as another type or shape, it takes the copy itself."""
    if copy is None:
        return
    if (value.dtype, value.shape, value.device) == (copy.dtype, copy.shape, copy.device):
        with torch.no_grad():
            value.copy_(copy)
    else:
        value.data = copy


def _module_back(name: str, module: nn.Module, mode: bool, tables: dict[str, Any]) -> list[str]:  # noqa: FBT001
    found = []
    if module.training is not mode:
        found.append(f"the mode of {name}")
        module.training = mode
    for table, saved in tables.items():
        here = getattr(module, table)
        now = dict(here)  # a scripted module's table gives its names in no other way
        if list(now) != list(saved) or any(now[key] is not saved[key] for key in saved):
            found.append(f"the {_TABLES[table]} of {name}")
            here.clear()
            here.update(saved)
    return found


def _tables(module: nn.Module) -> dict[str, Any]:
    return {table: dict(getattr(module, table)) for table in _TABLES}


def _draws(value: Any) -> bool:
    return isinstance(value, torch.Generator)


def _copy(value: Tensor | None) -> Tensor | None:
    return None if value is None else value.detach().clone()


def same_bits(value: Tensor | None, copy: Tensor | None) -> bool:
    """Equality of every bit, so that a nan equals itself."""
    if value is None or copy is None:
        return value is copy
    if (value.shape, value.dtype, value.device) != (copy.shape, copy.dtype, copy.device):
        return False
    if value.layout != torch.strided:
        return value.layout == copy.layout and same_bits(value.to_dense(), copy.to_dense())
    if not value.is_floating_point():
        return bool(torch.equal(value.detach(), copy))
    left, right = (t.detach().contiguous().reshape(-1) for t in (value, copy))
    return left.numel() == 0 or bool(torch.equal(left.view(torch.uint8), right.view(torch.uint8)))


def generators() -> dict[str, Any]:
    """The states of all global random generators."""
    state: dict[str, Any] = {
        "python": random.getstate(),
        "numpy": np.random.get_state(legacy=True),  # noqa: NPY002 - a model may draw from it
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state_all()
    return state


def set_generators(state: dict[str, Any]) -> None:
    """The inverse of `generators`."""
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])  # noqa: NPY002
    torch.set_rng_state(state["torch"])
    if "cuda" in state:
        torch.cuda.set_rng_state_all(state["cuda"])
