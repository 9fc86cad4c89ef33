"""The tensors of one parameter group as parallel lists, so that a step is a few list operations."""

from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from wellposed.optim._noise import CounterNoise

ANCHOR, MEAN, OUTER_BUFFER, POINT = "anchor", "mean", "outer_momentum_buffer", "point"
SLOTS = (ANCHOR, MEAN, OUTER_BUFFER, POINT)
"""What a relaxation keeps per parameter, beside the state of its base optimizer."""

BUFFER = "momentum_buffer"
"""What torch's SGD keeps per parameter."""

State = MutableMapping[Tensor, dict[str, Any]]


@dataclass(slots=True)
class Bucket:
    """Parameters of one group on one device in one dtype, with their slots, as parallel lists.

    Args:
        params: The inner points y, which the model holds while training.
        anchors: x, in float32 where the parameters have fewer bits.
        means: The average of the inner points; empty if none is kept.
        velocities: Outer momentum; empty if there is none.
        points: y while the model holds x; empty unless the parameters have fewer bits.
        buffers: Inner momentum of the built-in SGD, None before the first step.
        low: Whether the parameters have fewer bits than float32.
        plain: Whether torch's fused kernels may take these parameters and their slots.
        blend: Whether they beat the list operation for an interpolation here.
        strides: Strides of each parameter.
        noise: What perturbs them, and the place of each in it; made when first needed.
    """

    params: list[Tensor]
    anchors: list[Tensor]
    means: list[Tensor]
    velocities: list[Tensor]
    points: list[Tensor]
    buffers: list[Tensor | None]
    low: bool
    plain: bool
    blend: bool
    strides: list[tuple[int, ...]]
    noise: tuple[CounterNoise, list[int]] | None = None

    def working(self) -> list[Tensor]:
        """Points y in the anchors' precision: the parameters themselves, or float32 copies."""
        return [p.float() for p in self.params] if self.low else self.params

    def write(self, values: list[Tensor]) -> None:
        """Round values of the anchors' precision into the parameters, unless they are them."""
        if values is not self.params:
            for p, value in zip(self.params, values, strict=True):
                p.copy_(value)


def is_low(p: Tensor) -> bool:
    """Whether averages and small steps vanish in this parameter's precision."""
    return p.dtype in {torch.bfloat16, torch.float16}


def complete(slots: dict[str, Any], p: Tensor, *, mean: bool, outer_momentum: bool) -> None:
    """Add the slots that a parameter lacks; one seen for the first time is anchored where it is."""
    low = is_low(p)
    if ANCHOR not in slots:
        slots[ANCHOR] = p.detach().float() if low else p.detach().clone()
    if (mean or low) and MEAN not in slots:
        slots[MEAN] = slots[ANCHOR].clone()
    if outer_momentum and OUTER_BUFFER not in slots:
        slots[OUTER_BUFFER] = torch.zeros_like(slots[ANCHOR])
    if low and POINT not in slots:
        slots[POINT] = p.detach().clone()


def local(tensors: list[Tensor]) -> list[Tensor]:
    """What this process holds of each tensor: itself, or a shard of it, in the same memory."""
    return [t.to_local() if hasattr(t, "to_local") else t for t in tensors]


def whole(value: Tensor) -> Tensor:
    """A number computed from tensors, summed over the shards if they were sharded (collective)."""
    full: Tensor = value.full_tensor() if hasattr(value, "full_tensor") else value
    return full


def shard_of(p: Any) -> tuple[int, ...]:
    """The number of this process among those that hold different parts of the parameter.

    Empty for a plain tensor and for the first part.
    """
    if (mesh := getattr(p, "device_mesh", None)) is None:
        return ()
    number = 0
    for dim, place in enumerate(p.placements):
        if place.is_shard():
            number = number * mesh.size(dim) + mesh.get_local_rank(dim)
    return (number,) if number else ()


def kind_of(p: Tensor) -> tuple[Any, ...]:
    """What tensors must have in common to be worked on as one list."""
    return p.device, p.dtype, type(p), getattr(p, "device_mesh", None), getattr(p, "placements", 0)


def by_kind(params: list[Tensor]) -> list[list[int]]:
    """Positions of the parameters, one list per kind."""
    if _plainly_alike(params):
        return [list(range(len(params)))]
    kinds: dict[tuple[Any, ...], list[int]] = {}
    for i, p in enumerate(params):
        kinds.setdefault(kind_of(p), []).append(i)
    return list(kinds.values())


def _plainly_alike(params: list[Tensor]) -> bool:
    """Whether all are plain tensors on one device and in one dtype, as they mostly are."""
    if not params:
        return False
    device, dtype = params[0].device, params[0].dtype
    return (
        all(
            type(p) in {Tensor, torch.nn.Parameter} and p.dtype is dtype and p.device == device
            for p in params
        )
        and len({type(p) for p in params}) == 1
    )


def make_bucket(params: list[Tensor], slots: list[dict[str, Any]], state: State) -> Bucket:
    """The bucket of these parameters of one kind, whose slots exist already."""
    buffers = [state[p].get(BUFFER) if p in state else None for p in params]

    def listed(name: str) -> list[Tensor]:
        return [s[name] for s in slots] if name in slots[0] else []

    strides = [p.stride() for p in params]
    anchors, means = listed(ANCHOR), listed(MEAN)
    warm = [buffer for buffer in buffers if buffer is not None]
    plain = (
        all(fusible(p) for p in params)
        and (len(warm) < len(params) or same_layout(strides, warm))
        and same_layout(strides, anchors)
        and (not means or same_layout(strides, means))
    )
    return Bucket(
        params=params,
        anchors=anchors,
        means=means,
        velocities=listed(OUTER_BUFFER),
        points=listed(POINT),
        buffers=buffers,
        low=is_low(params[0]),
        plain=plain,
        blend=plain and params[0].device.type == "cpu" and not is_low(params[0]),
        strides=strides,
    )


def blend_(bucket: Bucket, targets: list[Tensor], ends: list[Tensor], weight: float) -> None:
    """Move targets towards ends by this fraction, in place; exact where both are equal.

    On the processor, torch's list interpolation is a loop over tensors, its fused SGD is not:
    with step -w and weight decay -1 it is the same arithmetic, y - (-w)(x - y), as torch's
    interpolation for weights below one half (from there on that starts from the other end).
    """
    if bucket.blend and 0 <= weight <= 0.5:
        torch._fused_sgd_(
            targets,
            ends,
            [],
            lr=-weight,
            weight_decay=-1.0,
            momentum=0.0,
            dampening=0.0,
            nesterov=False,
            maximize=False,
            is_first_step=False,
        )
    else:
        torch._foreach_lerp_(targets, ends, weight)


def copy_(bucket: Bucket, targets: list[Tensor], sources: list[Tensor]) -> None:
    """Copy, exactly; torch's list operation does not know distributed tensors."""
    if bucket.plain:
        torch._foreach_copy_(targets, sources)
        return
    for target, source in zip(targets, sources, strict=True):
        target.copy_(source)


def fusible(p: Tensor) -> bool:
    """Whether torch's fused kernels may write to this tensor.

    They walk through memory, not through indices: a tensor with gaps or overlaps (a slice, an
    expanded tensor) would silently be updated in the wrong places.
    """
    return (
        type(p) in {Tensor, torch.nn.Parameter}
        and p.is_floating_point()
        and p.device.type in {"cpu", "cuda"}
        and torch.empty_like(p, device="meta").stride() == p.stride()
    )


def same_layout(strides: list[tuple[int, ...]], tensors: list[Tensor]) -> bool:
    """Whether each tensor lies in memory as the strides say; dimensions of size 1 do not count."""
    if [t.stride() for t in tensors] == strides:
        return True
    return all(
        all(a == b or n == 1 for a, b, n in zip(wanted, t.stride(), t.shape, strict=True))
        for wanted, t in zip(strides, tensors, strict=True)
    )


def laid_out_as(value: Tensor, p: Tensor, dtype: torch.dtype) -> Tensor:
    """A copy of a tensor of the state, on the parameter's device and in its order of memory."""
    if value.shape != p.shape:
        return value.to(dtype=dtype, copy=True)
    return torch.empty_like(p, dtype=dtype, requires_grad=False).copy_(value)
