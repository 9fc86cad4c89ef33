"""A curve between two states of a network, along which the loss is low."""

from collections.abc import Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from wellposed.audit._landscape import Landscape

State: TypeAlias = dict[str, Tensor]

_BETA1, _BETA2, _TINY = 0.9, 0.999, 1e-8  # of Adam


def bezier(start: State, bend: State, end: State, t: float) -> State:
    r"""The weights on a quadratic Bezier curve, $(1-t)^2 w_0 + 2 t (1-t) \theta + t^2 w_1$.

    Args:
        start: $w_0$, by name.
        bend: $\theta$, by name; a straight line where it is the mean of both ends.
        end: $w_1$, by name.
        t: In [0, 1]; at 0 and 1 exactly the ends.
    """
    if t in {0, 1}:
        return end if t else start
    a, b, c = (1 - t) ** 2, 2 * t * (1 - t), t * t
    return {n: a * w + b * bend[n] + c * end[n] for n, w in start.items()}


def find_curve(
    land: Landscape,
    start: State,
    end: State,
    *,
    rows: Sequence[int],
    gradients: int,
    batch_size: int = 64,
    lr: float = 0.01,
) -> State:
    r"""Bend a curve between two states until the loss along it is low.

    $$\min_\theta \mathbb E_{t \sim U(0, 1)}\, f(\phi_\theta(t)), \qquad
    \nabla_\theta f(\phi_\theta(t)) = 2 t (1 - t)\, \nabla f(\phi_\theta(t))$$

    by Adam, from the middle of the straight line, with a step size that falls to 0 linearly.

    Args:
        land: The objective.
        start: Weights by name.
        end: Weights by name.
        rows: Numbers of the examples that it may use.
        gradients: Gradient evaluations of one example, all together.
        batch_size: Examples per gradient.
        lr: The first step size, above 0.

    Returns the bend by name. Cost: `gradients`.

    References:
        Garipov, Izmailov, Podoprikhin, Vetrov and Wilson, Loss surfaces, mode connectivity, and
        fast ensembling of DNNs, 2018, arXiv:1802.10026.
    """
    bend = {n: (w + end[n]) / 2 if w.is_floating_point() else w for n, w in start.items()}
    first = {n: torch.zeros_like(bend[n]) for n in land.trainable}
    second = {n: torch.zeros_like(bend[n]) for n in land.trainable}
    generator = land.subject.generator("curve")
    pool = torch.tensor(list(rows))
    size = min(batch_size, len(pool))
    steps = max(gradients // size, 1)
    for step in range(1, steps + 1):
        t = float(torch.rand((), generator=generator))
        chosen = pool[torch.randperm(len(pool), generator=generator)[:size]]
        found = land.gradient_at(bezier(start, bend, end, t), chosen)
        rate = lr * (1 - (step - 1) / steps)
        for name, g in found.items():
            g = 2 * t * (1 - t) * g
            first[name].lerp_(g, 1 - _BETA1)
            second[name].lerp_(g * g, 1 - _BETA2)
            mean = first[name] / (1 - _BETA1**step)
            spread = (second[name] / (1 - _BETA2**step)).sqrt()
            bend[name] = bend[name] - rate * mean / (spread + _TINY)
    return bend
