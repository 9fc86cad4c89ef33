"""The tensor arithmetic of gradients probed around an anchor, on lists, in place."""

from math import isfinite
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import get_total_norm

from wellposed.optim._buckets import Bucket, blend_, copy_, local, same_layout, whole


def anchor(bucket: Bucket) -> None:
    """Anchor the probes where the weights are."""
    copy_(bucket, bucket.anchors, bucket.params)


def begin(bucket: Bucket, *, displaced: bool) -> None:
    """Begin a cycle: anchor the probes here, unless they are displaced already.

    A parameter without a gradient now may get one later in the cycle; until then its mean is 0.
    """
    if not displaced:
        anchor(bucket)
    if bucket.means:
        for p, mean in zip(bucket.params, bucket.means, strict=True):
            if p.grad is None:
                mean.zero_()


def restore(bucket: Bucket) -> None:
    """Bring the weights back to their anchor, exactly, whatever they hold."""
    copy_(bucket, bucket.params, bucket.anchors)


def accumulate(bucket: Bucket, grads: list[Tensor], group: dict[str, Any]) -> list[Tensor]:
    """Update the mean p of the gradients of this cycle, and return it: the newest if none is kept.

    Args:
        bucket: The parameters that have a gradient.
        grads: Their gradients, which are left alone.
        group: Their group; its `inner_index` counts the gradients before this one.
    """
    if (mean := group["mean"]) is None:
        return grads
    first = group["inner_index"] == 0
    weight = mean
    if mean == "uniform":
        weight = 1 / (group["inner_index"] + 1)
    elif first:
        torch._foreach_zero_(bucket.means)
    ends = [g.float() for g in grads] if bucket.low else grads
    if bucket.blend and same_layout(bucket.strides, ends):
        blend_(bucket, bucket.means, ends, weight)
    else:
        torch._foreach_lerp_(bucket.means, ends, weight)
    return bucket.means


def displace(
    bucket: Bucket, slopes: list[Tensor], length: float, *, adaptive: bool, moved: bool
) -> None:
    r"""Move the weights to $x - s\,p$, or, after `norm`, to $x - s\,x^2 p$.

    Args:
        bucket: The parameters, anchored at x.
        slopes: p.
        length: s.
        adaptive: Whether each weight is displaced in proportion to its square, that of a complex
            one part by part; it holds x p now.
        moved: Whether the weights may be elsewhere than at x.
    """
    if length == 0:
        restore(bucket)
        return
    y = bucket.working()
    if adaptive:
        torch._foreach_mul_(as_real(y), as_real(bucket.anchors))
        torch._foreach_mul_(y, -length)
        torch._foreach_add_(y, bucket.anchors)
    else:
        if moved:
            copy_(bucket, y, bucket.anchors)
        slopes = [p.float() for p in slopes] if bucket.low else slopes
        torch._foreach_add_(y, slopes, alpha=-length)
    bucket.write(y)


def spread(bucket: Bucket, noise: list[Tensor]) -> None:
    r"""Move the weights to $x + \xi$."""
    y = bucket.working()
    copy_(bucket, y, bucket.anchors)
    torch._foreach_add_(local(y), noise)
    bucket.write(y)


def reflect(bucket: Bucket) -> None:
    r"""Move the weights from $x + \xi$ to $x - \xi$, without drawing $\xi$ again."""
    y = bucket.working()
    torch._foreach_neg_(y)
    torch._foreach_add_(y, bucket.anchors, alpha=2)
    bucket.write(y)


def norm(listed: list[tuple[Bucket, list[Tensor]]], *, adaptive: bool) -> float:
    r"""$\|p\|$ over all buckets, or $\|x p\|$, elementwise; one synchronization.

    The product is formed in the weights themselves; `displace` goes on from there.
    """
    slopes = [p for _, ps in listed for p in ps]
    if adaptive:
        for bucket, ps in listed:
            y = bucket.working()
            copy_(bucket, y, ps)
            torch._foreach_mul_(as_real(y), as_real(bucket.anchors))
            bucket.write(y)
        slopes = [p for bucket, _ in listed for p in bucket.params]
    if len(listed) == 1 and listed[0][0].plain and not listed[0][0].low:
        return float(torch.linalg.vector_norm(torch.stack(torch._foreach_norm(slopes))))
    listable = all(bucket.plain for bucket, _ in listed)
    total = get_total_norm(slopes, foreach=True if listable else None)
    return whole(total).item()


def scale_of(total: float) -> float:
    """1 / norm, or 0 where that means nothing: a gradient that is zero or not finite."""
    return 1 / total if total > 0 and isfinite(total) else 0.0


def as_real(tensors: list[Tensor]) -> list[Tensor]:
    """The same memory with complex numbers as pairs of real ones."""
    return [torch.view_as_real(t) if t.is_complex() else t for t in tensors]
