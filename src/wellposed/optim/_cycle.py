"""The tensor arithmetic of a relaxation's cycle, on lists, in place."""

from math import exp, log1p, sqrt
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from wellposed.errors import require
from wellposed.optim._buckets import Bucket, blend_, by_kind, copy_, kind_of, local, shard_of
from wellposed.optim._noise import CounterNoise


def begin(bucket: Bucket) -> None:
    """Anchor the inner points where they are; others may have moved them since the last cycle.

    Weights of fewer bits than their anchor are only the anchor rounded: unless somebody moved
    them, the anchor is the mean that the last cycle left.
    """
    if not bucket.low:
        copy_(bucket, bucket.anchors, bucket.params)  # whatever they held, nan included
        if bucket.means:
            copy_(bucket, bucket.means, bucket.params)
        return
    for p, x, mu in zip(bucket.params, bucket.anchors, bucket.means, strict=True):
        x.copy_(torch.where(mu.to(p.dtype) == p, mu, p.float()))
        mu.copy_(x)


def noise_for(
    bucket: Bucket, group: dict[str, Any], index: int, replica: int = 0
) -> list[Tensor] | None:
    """The noise of this step, or None; a function of seed, counters and place in the group.

    Copies of a shard get the same noise, different shards different noise: with parameters that
    are sharded, it depends on into how many pieces.

    Args:
        bucket: Which parameters. Plain tensors, or shards of them.
        group: Their group.
        index: The group's number, within its replica.
        replica: The number of the replica.

    Returns:
        One tensor per parameter, for what this process holds of it.
    """
    if (std := noise_std(group)) == 0:
        return None
    return draw(bucket, group, index, std, group["inner_index"], replica)


def draw(
    bucket: Bucket,
    group: dict[str, Any],
    index: int,
    std: float,
    number: int,
    replica: int = 0,
) -> list[Tensor]:
    """Normal numbers for a bucket, a function of seed, outer index, `number` and place."""
    p = bucket.params[0]
    kinds = by_kind(group["params"])
    kind = next(i for i, ks in enumerate(kinds) if kind_of(group["params"][ks[0]]) == kind_of(p))
    if bucket.noise is None:
        require(
            type(p) in {Tensor, Parameter} or hasattr(p, "to_local"),
            f"noise of standard deviation {std:g} was asked for parameters that are "
            f"{type(p).__name__}s; noise is for plain tensors and DTensors, try temperature=0",
        )
        like = local([group["params"][k] for k in kinds[kind]])
        place = {id(group["params"][k]): i for i, k in enumerate(kinds[kind])}
        places = [place[id(q)] for q in bucket.params]
        bucket.noise = CounterNoise(like, bucket.anchors[0].dtype), places
    noise, places = bucket.noise
    counters = group["noise_seed"] + replica, group["outer_index"], number, index, kind
    views = noise.draw(std, *counters, *shard_of(p))
    return [views[i] for i in places]


def relax(bucket: Bucket, group: dict[str, Any], noise: list[Tensor] | None) -> None:
    """After an inner step: add the noise, pull to the anchor, update the mean.

    With `reverse` the mean slot holds the summit z instead: y is pulled there, and `climb` moves it
    at the end of each block.
    """
    pull = pull_of(group) if group["integrator"] == "semi-implicit" else 0.0
    mean = group["mean"]
    if noise is None and pull == 0 and mean is None:
        return
    y = bucket.working()
    if noise is not None:
        torch._foreach_add_(local(y), noise)
    if pull != 0:
        blend_(bucket, y, bucket.means if group["reverse"] else bucket.anchors, pull)
    turning = group["reverse"] and (group["inner_index"] + 1) % group["block"] == 0
    if turning:
        climb(bucket, y, group)
    if noise is not None or pull != 0 or turning:
        bucket.write(y)
    if mean is not None and not group["reverse"]:
        weight = 1 / (group["inner_index"] + 1) if mean == "uniform" else mean
        blend_(bucket, bucket.means, y, weight)


def climb(bucket: Bucket, y: list[Tensor], group: dict[str, Any]) -> None:
    r"""A damped step of the summit to $x + r (z - y)$, and y back to it.

    In two interpolations, exact where all three points are equal:
    $z + \tfrac{ar}{1 - a}(z - y)$, then a of the way to x.
    """
    weight = group["mean"]
    torch._foreach_lerp_(bucket.means, y, -weight * group["reverse"] / (1 - weight))
    torch._foreach_lerp_(bucket.means, bucket.anchors, weight)
    torch._foreach_lerp_(y, bucket.means, 1.0)


def land(bucket: Bucket, group: dict[str, Any]) -> None:
    r"""Bring the inner point to $\mu$: into the parameters, or their mean slot in float32.

    With `reverse`, $\mu = x - (t - s)\,p$ where $z = x + s\,p$ is the summit.
    """
    if group["reverse"]:
        torch._foreach_lerp_(bucket.means, bucket.anchors, 1 / group["reverse"])
    if bucket.low:  # from now on the slot is the new anchor
        if group["mean"] is None:
            for mu, p in zip(bucket.means, bucket.params, strict=True):
                mu.copy_(p)
    elif group["mean"] is not None:
        torch._foreach_lerp_(bucket.params, bucket.means, 1.0)


def depart(bucket: Bucket, group: dict[str, Any]) -> None:
    r"""Outer step: replace $\mu$ by $x - \eta(x - \mu)$, or a form with momentum.

    The anchor slot keeps the old x until the next cycle begins, so that the step can be measured.
    Where x + (y - x) would not be y, an interpolation with weight 0 or 1 is exact.
    """
    eta, momentum = group["outer_lr"], group["outer_momentum"]
    y = bucket.means if bucket.low else bucket.params
    if momentum != 0:
        torch._foreach_sub_(y, bucket.anchors)
        torch._foreach_mul_(bucket.velocities, momentum * velocity_scale(group))
        for p, velocity in zip(bucket.params, bucket.velocities, strict=True):
            if not p.requires_grad:
                velocity.zero_()  # frozen, it rests
        torch._foreach_sub_(bucket.velocities, y)
        if group["outer_nesterov"]:
            torch._foreach_mul_(y, eta)
            torch._foreach_add_(y, bucket.velocities, alpha=-eta * momentum)
            torch._foreach_add_(y, bucket.anchors)
        else:
            torch._foreach_lerp_(y, bucket.anchors, 1.0)
            torch._foreach_add_(y, bucket.velocities, alpha=-eta)
    elif eta != 1:
        blend_(bucket, y, bucket.anchors, 1 - eta)
    bucket.write(y)


def turn(group: dict[str, Any]) -> None:
    """Count a completed cycle."""
    if not group["outer_nesterov"]:
        group["last_lr"] = float(group["lr"])
    group["inner_index"] = 0
    group["outer_index"] += 1


def exchange(bucket: Bucket, *, to_anchor: bool) -> None:
    """Swap y and x between the model and the state; the largest tensor is copied once in passing.

    Rounding x into weights of fewer bits would lose it, so there y has a slot of its own.
    """
    if not bucket.low:
        for p, x in zip(bucket.params, bucket.anchors, strict=True):
            kept = p.clone()
            p.copy_(x)
            x.copy_(kept)
        return
    for p, x, point in zip(bucket.params, bucket.anchors, bucket.points, strict=True):
        if to_anchor:
            point.copy_(p)
            p.copy_(x)
        else:
            p.copy_(point)


def velocity_scale(group: dict[str, Any]) -> float:
    """What the change of lr since the last outer step makes of heavy-ball momentum, else 1.

    It is kept in units of lr times a gradient, so that the lr of the present acts on the past.
    """
    if group["outer_nesterov"]:
        return 1.0
    if (last := group["last_lr"]) is None:
        return 1.0
    return float(group["lr"]) / last if last > 0 else 0.0


def gamma_of(group: dict[str, Any]) -> float:
    r"""$\gamma_0 (1 + \text{growth})^k$ in outer step k, at most `gamma_max`."""
    return grown(group, "gamma")


def rho_of(group: dict[str, Any]) -> float:
    r"""$\rho_0 (1 + \text{growth})^k$ in outer step k, at most `rho_max`."""
    return grown(group, "rho")


def grown(group: dict[str, Any], key: str) -> float:
    """A coefficient after its growth per outer step, up to its limit."""
    growth = exp(min(group["outer_index"] * log1p(group[f"{key}_growth"]), 500.0))
    value, limit = float(group[key]) * growth, group[f"{key}_max"]
    return value if limit is None else min(value, limit)


def pull_of(group: dict[str, Any]) -> float:
    r"""The weight $s / (1 + s)$ of the anchor in a semi-implicit step, $s = h\gamma / (1 - m)$.

    The pull is added after the momentum, which in the long run multiplies a gradient's step by
    $1 / (1 - m)$; only as strong is it in balance with the gradient at the proximal point.
    """
    strength = travel(group) * gamma_of(group)
    return strength / (1 + strength)


def travel(group: dict[str, Any]) -> float:
    r"""How far one unit of gradient moves a weight in the long run, $h (1 - d) / (1 - m)$.

    Momentum of 1 or more has no long run, and a base without momentum none to count: h.
    """
    momentum, dampening = group.get("momentum", 0.0), group.get("dampening", 0.0)
    if not 0 < momentum < 1:
        return float(group["lr"])
    return float(group["lr"]) * float(1 - dampening) / float(1 - momentum)


def noise_std(group: dict[str, Any]) -> float:
    r"""Standard deviation $\sqrt{2hT / (1 - m)}$ of noise of temperature T.

    Around a minimum of curvature $\lambda$ it is hotter by a factor $1 + O(h\lambda / (1 - m)^2)$.
    """
    if group["temperature"] == 0:
        return 0.0
    return sqrt(2 * float(group["lr"]) * group["temperature"] / (1 - group.get("momentum", 0.0)))
