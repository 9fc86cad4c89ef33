"""What one keeps of coupled replicas: the mean of their weights and statistics."""

from collections.abc import Iterator
from contextlib import contextmanager
from math import sqrt
from typing import Any

import torch
from torch import Tensor, nn

from wellposed.errors import require
from wellposed.optim._buckets import is_low, local
from wellposed.optim._coupling import Coupling, by_replica
from wellposed.optim._replicas import Replicas


@contextmanager
def consensus(groups: list[dict[str, Any]], coupling: Coupling) -> Iterator[None]:
    """Within the context the parameters, which hold anchors, hold the mean over the replicas.

    Afterwards they hold what they held before, bit for bit.
    """
    replicas = _weights(groups)
    kept = [[p.clone() for p in replica] for replica in replicas]
    try:
        with torch.no_grad():
            _write(replicas, coupling.mean(_precise(replicas)))
        yield
    finally:
        with torch.no_grad():
            for replica, values in zip(replicas, kept, strict=True):
                _write([replica], values)


@torch.no_grad()
def spread(groups: list[dict[str, Any]], coupling: Coupling) -> float:
    r"""$\sqrt{\frac1n \sum_a \|x_a - \bar x\|^2}$ of parameters that hold the anchors.

    Of shards, those of this process count.
    """
    replicas = _precise(_weights(groups))
    mean = coupling.mean(replicas)
    total = torch.zeros((), dtype=torch.float64, device=mean[0].device)
    for replica in replicas:
        for p, m in zip(replica, mean, strict=True):
            total += torch.linalg.vector_norm(p - m, dtype=torch.float64).square().to(total.device)
    return sqrt(coupling.mean([[total]])[0].item() / len(replicas))


@torch.no_grad()
def average_buffers(*models: nn.Module, coupling: Replicas | None = None) -> None:
    """Replace the floating-point buffers of each replica by their mean, such as batch norm's.

    Running statistics are no weights: no optimizer sees them. Average them where the averaged
    weights are evaluated or saved; or recompute them there (`recompute_batch_norm`), which is
    exact. All processes of `coupling` call this, in step: one all-reduce. Counters, which are
    integers, stay.

    Args:
        models: The replicas in this process, at least one. Models with different buffers are
            refused by an `ArgumentError`.
        coupling: `Replicas` in other processes, or None.
    """
    replicas = [
        local([b for b in model.buffers() if b.is_floating_point() and b.numel() > 0])
        for model in models
    ]
    shapes = [[b.shape for b in replica] for replica in replicas]
    require(
        len(models) > 0 and all(s == shapes[0] for s in shapes),
        f"average_buffers got {len(models)} models whose buffers have shapes "
        f"{[[list(s) for s in replica[:3]] for replica in shapes]}; it needs replicas of one model",
    )
    if replicas[0]:
        _write(replicas, Coupling(coupling).mean(_precise(replicas)))


def _weights(groups: list[dict[str, Any]]) -> list[list[Tensor]]:
    """The parameters of each replica in this process, or what it holds of them."""
    return [
        [p.detach() for group in replica for p in local(group["params"])]
        for replica in by_replica(groups)
    ]


def _precise(replicas: list[list[Tensor]]) -> list[list[Tensor]]:
    """The same numbers in at least 32 bits."""
    return [[t.float() if is_low(t) else t for t in replica] for replica in replicas]


def _write(replicas: list[list[Tensor]], values: list[Tensor]) -> None:
    """Put the same values into each replica."""
    for replica in replicas:
        for p, value in zip(replica, values, strict=True):
            p.copy_(value)
