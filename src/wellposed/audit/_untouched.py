"""A network is left exactly as it was found."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


@contextmanager
def untouched(model: nn.Module) -> Iterator[list[str]]:
    """Put back weights, buffers, gradients, modes, hooks and random generators after the block.

    The list that the block is given names, after it, whatever had to be put back: it is empty if
    the block left everything bit by bit as it was. The generators are put back silently, since a
    forward pass with dropout has to draw.

    Cost: a copy of all weights, buffers and gradients, and one comparison.
    """
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    before = {name: (value, _copy(value), value.requires_grad) for name, value in tensors.items()}
    grads = {name: (p, p.grad, _copy(p.grad)) for name, p in model.named_parameters()}
    modules = [(name or "the model", m, m.training, _hooks(m)) for name, m in model.named_modules()]
    generators = _generators()
    changed: list[str] = []
    try:
        yield changed
    finally:
        _set_generators(generators)
        for name, (value, copy, wants) in before.items():
            changed += _values_back(name, value, copy, wants)
        for name, (parameter, held, copy) in grads.items():
            changed += _gradient_back(name, parameter, held, copy)
        for name, module, mode, hooks in modules:
            changed += _module_back(name, module, mode, hooks)


def _values_back(name: str, value: Tensor, copy: Tensor | None, wants: bool) -> list[str]:  # noqa: FBT001
    found = []
    if value.requires_grad is not wants:
        found.append(f"requires_grad of {name}")
        value.requires_grad_(wants)
    if not _same(value, copy):
        found.append(f"the values of {name}")
        with torch.no_grad():
            value.copy_(torch.as_tensor(copy))
    return found


def _gradient_back(
    name: str, parameter: Tensor, held: Tensor | None, copy: Tensor | None
) -> list[str]:
    if parameter.grad is held and _same(held, copy):
        return []
    if held is not None:
        with torch.no_grad():
            held.copy_(torch.as_tensor(copy))
    parameter.grad = held
    return [f"the gradient of {name}"]


def _module_back(name: str, module: nn.Module, mode: bool, hooks: dict[str, Any]) -> list[str]:  # noqa: FBT001
    found = []
    if module.training is not mode:
        found.append(f"the mode of {name}")
        module.training = mode
    if _hooks(module) != hooks:
        found.append(f"the hooks of {name}")
        for kind, saved in hooks.items():
            here = getattr(module, kind)
            here.clear()
            here.update(saved)
    return found


def _hooks(module: nn.Module) -> dict[str, Any]:
    return {kind: dict(getattr(module, kind)) for kind in _HOOKS}


def _copy(value: Tensor | None) -> Tensor | None:
    return None if value is None else value.detach().clone()


def _same(value: Tensor | None, copy: Tensor | None) -> bool:
    """Equality of every bit, so that a nan equals itself."""
    if value is None or copy is None:
        return value is copy
    if value.shape != copy.shape or value.dtype != copy.dtype:
        return False
    if value.layout != torch.strided or not value.is_floating_point():
        return bool(torch.equal(value.detach(), copy))
    left, right = (t.detach().contiguous().reshape(-1) for t in (value, copy))
    return left.numel() == 0 or bool(torch.equal(left.view(torch.uint8), right.view(torch.uint8)))


def _generators() -> dict[str, Any]:
    state: dict[str, Any] = {
        "python": random.getstate(),
        "numpy": np.random.get_state(legacy=True),  # noqa: NPY002 - a model may draw from it
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state_all()
    return state


def _set_generators(state: dict[str, Any]) -> None:
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])  # noqa: NPY002
    torch.set_rng_state(state["torch"])
    if "cuda" in state:
        torch.cuda.set_rng_state_all(state["cuda"])
