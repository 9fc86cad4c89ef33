"""The inner step: torch's SGD on lists that are at hand, or any other optimizer around them."""

from typing import Any

import torch
from torch import Tensor
from torch.optim.sgd import sgd

from wellposed.errors import require
from wellposed.optim._buckets import BUFFER, Bucket, State, laid_out_as, same_layout
from wellposed.optim._cycle import gamma_of


def sgd_step(bucket: Bucket, grads: list[Tensor], group: dict[str, Any], state: State) -> None:
    """One step of torch's own SGD arithmetic; the momentum stays in `state`, under torch's name.

    It is bitwise `torch.optim.SGD` with the same flags. Unless the group says otherwise, torch's
    fused kernel is used wherever that is safe.
    """
    buffers = bucket.buffers
    if group["momentum"] == 0:
        _sgd(bucket, grads, bucket.params, [], group)
        return
    if not (cold := [i for i, buffer in enumerate(buffers) if buffer is None]):
        _sgd(bucket, grads, bucket.params, buffers, group)
        return
    warm = [i for i, buffer in enumerate(buffers) if buffer is not None]
    for part in (cold, warm):  # a kernel knows one "first step" for all its tensors
        if part:
            own = [buffers[i] for i in part]
            params = [bucket.params[i] for i in part]
            _sgd(bucket, [grads[i] for i in part], params, own, group)
            for i, p, buffer in zip(part, params, own, strict=True):
                if bucket.plain and buffer is not None and buffer.stride() != p.stride():
                    buffer = laid_out_as(buffer, p, buffer.dtype)
                state[p][BUFFER] = buffers[i] = buffer


def _sgd(
    bucket: Bucket,
    grads: list[Tensor],
    params: list[Tensor],
    buffers: list[Tensor | None],
    group: dict[str, Any],
) -> None:
    """The functional SGD of torch, fused where allowed."""
    fused, foreach = group["fused"], group["foreach"]
    if fused is None:
        fused = foreach is None and bucket.plain
    if fused and not (bucket.plain and _aligned(bucket, grads, params)):
        fused, foreach = False, None
    warm = [buffer for buffer in buffers if buffer is not None]
    if fused and params is bucket.params and len(warm) == len(buffers):
        torch._fused_sgd_(  # what `sgd` comes to, without sorting the tensors again
            params,
            grads,
            warm,
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            momentum=group["momentum"],
            dampening=group["dampening"],
            nesterov=group["nesterov"],
            maximize=group["maximize"],
            is_first_step=False,
        )
        return
    if not fused and foreach is None:
        foreach = True
    if foreach and group["nesterov"] and buffers and group["weight_decay"] == 0:
        grads = [g.clone() for g in grads]  # torch would add the momentum to what it is given
    sgd(
        params,
        grads,
        buffers or [None] * len(params),
        fused=fused,
        foreach=foreach,
        weight_decay=group["weight_decay"],
        momentum=group["momentum"],
        lr=group["lr"],
        dampening=group["dampening"],
        nesterov=group["nesterov"],
        maximize=group["maximize"],
    )


def _aligned(bucket: Bucket, grads: list[Tensor], params: list[Tensor]) -> bool:
    """Whether gradients lie in memory as their parameters do; fused kernels do not ask."""
    whole = params is bucket.params
    return same_layout(bucket.strides if whole else [p.stride() for p in params], grads)


def check_gradients(grads: list[Tensor]) -> None:
    """Refuse sparse gradients: the pull and the mean move every weight at every step."""
    require(
        all(g.layout == torch.strided for g in grads),
        "a relaxation got a sparse gradient; it moves every weight at every step, try "
        "sparse=False in the embedding, or torch.optim.SGD",
    )


def pulled(bucket: Bucket, grads: list[Tensor], group: dict[str, Any]) -> list[Tensor]:
    r"""Gradients of the inner objective $f(y) + \tfrac\gamma2\|y - x\|^2$, in new memory."""
    gamma = gamma_of(group)
    shifted = list(torch._foreach_sub(bucket.working(), bucket.anchors))
    torch._foreach_mul_(shifted, -gamma if group.get("maximize") else gamma)
    if bucket.low:
        shifted = [d.to(g.dtype) for d, g in zip(shifted, grads, strict=True)]
    torch._foreach_add_(shifted, grads)
    return shifted
