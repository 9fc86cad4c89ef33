"""Forward passes beside the training one, which leave no trace in the network."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase


@contextmanager
def still(model: nn.Module) -> Iterator[None]:
    """Inside the block, batch norm in training mode uses the batch's statistics and keeps none.

    Running statistics are out of its reach there; nothing is written and put back, which would
    disturb graphs that hold them.
    """
    norms = [
        m
        for m in model.modules()
        if isinstance(m, _NormBase) and m.training and m.track_running_stats
    ]
    kept = [(norm.running_mean, norm.running_var) for norm in norms]
    for norm in norms:
        norm.track_running_stats = False
        norm.running_mean = norm.running_var = None
    try:
        yield
    finally:
        for norm, (mean, variance) in zip(norms, kept, strict=True):
            norm.track_running_stats = True
            norm.running_mean, norm.running_var = mean, variance


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Eval mode for all modules inside the block, each one's own mode after it."""
    training = [module for module in model.modules() if module.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True


def differs_by_mode(model: nn.Module) -> bool:
    """Whether the network computes another function in eval mode, as far as its modules tell."""
    kinds = (_NormBase, nn.modules.dropout._DropoutNd, nn.RReLU, nn.RNNBase, nn.MultiheadAttention)
    return any(m.training and isinstance(m, kinds) for m in model.modules())


def generator_of(model: nn.Module, device: torch.device) -> torch.Generator | None:
    """Where random numbers come from: torch's stream in training mode, a fixed one in eval mode.

    In eval mode the objective is so a function of the weights, as it is with dropout.
    """
    return None if model.training else torch.Generator(device).manual_seed(0)


def differentiable(inputs: Tensor) -> Tensor:
    """The inputs as something to differentiate by: themselves, if somebody does so already."""
    return inputs if inputs.requires_grad else inputs.detach().requires_grad_()


def per_example(values: Tensor, like: Tensor) -> Tensor:
    """One number per example, shape (batch,), in a shape that broadcasts over its inputs."""
    return values.view(-1, *[1] * (like.dim() - 1))
