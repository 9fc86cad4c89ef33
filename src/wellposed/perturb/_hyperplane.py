"""The shortest way onto a hyperplane inside a box, in three norms."""

import torch
from jaxtyping import Float
from torch import Tensor


def onto_hyperplane(
    norm: str,
    slope: Float[Tensor, "n d"],
    gap: Float[Tensor, " n"],
    low: Float[Tensor, "n d"],
    high: Float[Tensor, "n d"],
) -> Float[Tensor, "n d"]:
    r"""The displacement m of least norm with $\langle s, m\rangle = g$ and $l \le m \le h$.

    With $a = |s|$ and the room b on the side where a coordinate helps, its size is
    $\min(\lambda, b)$ in the maximum norm and $\min(\lambda a, b)$ in the Euclidean one. What it
    gains is concave in $\lambda$ and linear between breakpoints, so that Newton's method from
    below ends at the right one. In the sum norm the coordinates with the largest a are used up one
    after the other. Where the box does not reach the hyperplane, every coordinate with a slope goes
    to its end.

    Args:
        norm: "linf", "l2" or "l1".
        slope: s, in float64 like all that follows; NaN counts as zero.
        gap: g, of either sign.
        low: At most 0.
        high: At least 0; infinite where there is no bound.

    References:
        Croce and Hein, Minimally distorted adversarial examples with a fast adaptive boundary
        attack, 2019, arXiv:1907.02044.
    """
    if slope.numel() == 0:
        return torch.zeros_like(slope)
    slope, gap = slope.nan_to_num(0.0), gap.nan_to_num(0.0).unsqueeze(1)
    slope, gap = torch.where(gap < 0, -slope, slope), gap.abs()
    weight = slope.abs()
    largest = weight.amax(1, keepdim=True)
    unit = torch.where(largest > 0, largest, 1)  # no square under- or overflows
    weight, gap = weight / unit, gap / unit
    room = torch.where(slope > 0, high, -low)
    room = torch.where(weight > 0, room, 0)
    if norm == "l1":
        return slope.sign() * _greedy(weight, gap, room)
    return slope.sign() * _level(weight, gap, room, weight.sign() if norm == "linf" else weight)


def _level(weight: Tensor, gap: Tensor, room: Tensor, speed: Tensor) -> Tensor:
    """All coordinates at their speed until they reach their end, for as long as needed."""
    gain = weight * speed
    whole = gain.sum(1, keepdim=True)
    time = torch.where(whole > 0, gap / whole, 0)
    while True:
        ended = room < time * speed
        left = gap - torch.where(ended, weight * room, 0).sum(1, keepdim=True)
        running = torch.where(ended, 0, gain).sum(1, keepdim=True)
        later = torch.where(running > 0, left / running, time)
        if (later <= time).all():
            return torch.minimum(time * speed, room)
        time = torch.maximum(later, time)


def _greedy(weight: Tensor, gap: Tensor, room: Tensor) -> Tensor:
    """The steepest coordinates first, each as far as needed or possible."""
    order = weight.argsort(dim=1, descending=True, stable=True)
    steep, space = weight.gather(1, order), room.gather(1, order)
    gained = torch.where(steep > 0, steep * space, 0).cumsum(1)
    before = torch.cat([torch.zeros_like(gap), gained[:, :-1]], 1)
    wanted = torch.where(steep > 0, (gap - before).clamp_min(0) / steep, 0)
    sizes = torch.minimum(wanted, space)
    return torch.zeros_like(sizes).scatter(1, order, sizes)
