"""Batch-norm statistics that belong to the weights one evaluates."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from wellposed.errors import require


@torch.no_grad()
def recompute_batch_norm(
    model: nn.Module, batches: Iterable[Tensor | tuple[Tensor, ...] | list[Tensor]]
) -> None:
    """Replace all batch-norm statistics by those of these training batches at the current weights.

    Statistics that were collected while training belong to the points visited, not to an anchor
    or an average of weights that the model never ran with. As `torch.optim.swa_utils.update_bn`,
    this resets the running mean and variance and averages them over the batches with equal
    weight. Unlike it, dropout stays off, layers that were frozen in evaluation mode are left in
    that mode afterwards, and modes and momenta come back also if a batch fails. The old statistics
    are not kept; see `anchor_statistics`.

    Cost: one forward pass per batch, no gradient evaluations. Nothing happens, and no batch is
    drawn, if the model has no batch norm.

    Args:
        model: The network, holding the weights at which to evaluate.
        batches: Training inputs, or tuples that start with them. Never evaluation data: that
            would let the model see what it is judged on. None at all is refused by an
            `ArgumentError`.
    """
    layers = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    if not layers:
        return
    remaining = iter(batches)
    require(
        (first := next(remaining, None)) is not None,
        "recompute_batch_norm got no batch; batch norm needs at least one batch of training "
        "inputs, try a few hundred examples",
    )
    modes = [(module, module.training) for module in model.modules()]
    momenta = [layer.momentum for layer in layers]
    model.eval()
    try:
        for layer in layers:
            layer.reset_running_stats()
            layer.momentum = None  # equal weight for every batch
            layer.train()
        for batch in chain([first], remaining):
            model(batch[0] if isinstance(batch, tuple | list) else batch)
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
        for module, mode in modes:
            module.training = mode


@contextmanager
def anchor_statistics(
    model: nn.Module, batches: Iterable[Tensor | tuple[Tensor, ...] | list[Tensor]]
) -> Iterator[None]:
    """Within the context, batch norm uses statistics of these batches; afterwards its own again.

    The training statistics are restored bit for bit, so evaluation leaves no trace in training:

        with optimizer.at_anchor(), anchor_statistics(model, training_batches):
            evaluate(model)

    Args:
        model: The network, holding the weights at which to evaluate.
        batches: Training batches, as for `recompute_batch_norm`.
    """
    layers = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    kept = [{name: b.clone() for name, b in m.named_buffers(recurse=False)} for m in layers]
    try:
        recompute_batch_norm(model, batches)
        yield
    finally:
        with torch.no_grad():
            for layer, buffers in zip(layers, kept, strict=True):
                for name, value in buffers.items():
                    layer.get_buffer(name).copy_(value)
