"""In which regime a relaxation runs: numbers for the log."""

from collections.abc import Iterable
from math import inf, nan, sqrt
from typing import Any

import torch
from torch import Tensor

from wellposed.optim._buckets import Bucket, whole
from wellposed.optim._cycle import gamma_of, noise_std, travel


def regime(listed: Iterable[tuple[dict[str, Any], Bucket]]) -> dict[str, float]:
    """What `Relaxation.diagnostics` returns, besides the values of the group.

    Args:
        listed: All parameters that have an anchor, each bucket with its group.
    """
    moved = moving = along = slope = step = noise = 0.0
    for group, bucket in listed:
        sums = _sums(group, bucket)
        moved, moving, along = moved + sums[0], moving + sums[1], along + sums[2]
        slope, step = slope + sums[3], step + float(group["lr"]) ** 2 * sums[3]
        size = sum(p.numel() for p in bucket.params if p.grad is not None)
        noise += noise_std(group) ** 2 * size
    return {
        "anchor_distance": sqrt(moved),
        "cosine": along / sqrt(moving * slope) if moving > 0 and slope > 0 else nan,
        "noise_ratio": sqrt(noise / step) if step > 0 else nan,
    }


def strength(group: dict[str, Any]) -> dict[str, float]:
    r"""The pull of a group at present: `gamma`, `pde_time` $1/\gamma$ and `kappa`."""
    gamma = gamma_of(group)
    return {
        "gamma": gamma,
        "pde_time": 1 / gamma if gamma > 0 else inf,
        "kappa": gamma * travel(group) * group["inner_steps"],
    }


def _sums(group: dict[str, Any], bucket: Bucket) -> list[float]:
    """Sums over a bucket: |x - mu|^2, the same where there are gradients, (x - mu) g, |g|^2."""
    total = torch.zeros(4, dtype=torch.float64, device=bucket.params[0].device)
    for p, x, mu in zip(bucket.params, *_ends(group, bucket), strict=True):
        difference = x.detach() - mu.detach()
        square = whole(torch.linalg.vector_norm(difference, dtype=torch.float64)).square()
        total[0] += square
        if p.grad is not None:
            g = p.grad
            total[1] += square
            total[2] += whole((difference * g).sum(dtype=torch.float64))
            total[3] += whole(torch.linalg.vector_norm(g, dtype=torch.float64)).square()
    if group["inner_index"] == 0:  # the difference is the outer step, eta (x - mu)
        total[:2] /= group["outer_lr"] ** 2
        total[2] /= group["outer_lr"]
    return total.tolist()


def _ends(group: dict[str, Any], bucket: Bucket) -> tuple[list[Tensor], list[Tensor]]:
    """Where x and mu are at present; between cycles, the old x and the new."""
    between = group["inner_index"] == 0
    swapped = group["at_anchor"] and not between
    x = bucket.params if swapped and not bucket.low else bucket.anchors
    if bucket.means and not between and group["mean"] is not None:
        return x, bucket.means
    if bucket.low:
        return x, bucket.means if between else (bucket.points if swapped else bucket.params)
    return x, bucket.anchors if swapped else bucket.params
