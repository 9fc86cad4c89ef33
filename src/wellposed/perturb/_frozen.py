"""A model that is only looked at: in eval mode, its parameters fixed, and left as it was."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


@contextmanager
def frozen(model: nn.Module, seed: int) -> Iterator[None]:
    """Freeze the model inside the block; after it, every bit is back where it was.

    That holds for modes, `requires_grad`, buffers, and the global random generators of Python,
    NumPy and torch, which are seeded inside so that a model that draws does so the same way each
    time. Gradients with respect to the inputs can be taken in the block, whatever mode is outside.
    A model that writes into its input, such as one that begins with `nn.ReLU(inplace=True)`, gets
    a copy.

    Args:
        model: It is in eval mode inside the block.
        seed: For models that draw random numbers in their forward pass.
    """
    modes = [(module, module.training) for module in model.modules()]
    wanted = [(p, p.requires_grad) for p in model.parameters()]
    buffers = [
        (module, name, value, None if value is None else value.detach().clone())
        for module in model.modules()
        for name, value in module._buffers.items()
    ]
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - a model may draw
    copied = model.register_forward_pre_hook(_copied)
    cards = {p.device for p in model.parameters() if p.is_cuda}
    try:
        with torch.random.fork_rng(cards), torch.inference_mode(mode=False), torch.enable_grad():
            random.seed(seed)
            np.random.seed(seed % 2**32)  # noqa: NPY002
            torch.manual_seed(seed)
            model.eval()
            for parameter, _ in wanted:
                parameter.requires_grad_(False)
            yield
    finally:
        copied.remove()
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
        for module, mode in modes:
            module.training = mode
        for parameter, wants in wanted:
            parameter.requires_grad_(wants)
        for module, name, value, copy in buffers:
            module._buffers[name] = value
            if value is not None and copy is not None:
                with torch.no_grad():
                    value.copy_(copy)


def _copied(model: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    del model
    return tuple(x.clone() if isinstance(x, Tensor) else x for x in arguments)
