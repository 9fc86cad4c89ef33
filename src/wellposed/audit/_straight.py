"""Straight lines between two states of a network, and how far the loss rises on them."""

import numpy as np
from jaxtyping import Float
from torch import Tensor

from wellposed.audit._landscape import Interval, Landscape, Table, level_of_each
from wellposed.errors import require
from wellposed.stats import mean_interval

State = tuple[dict[str, Tensor], dict[str, Tensor]]
"""Weights and buffers."""


def between(start: State, end: State, alpha: float) -> State:
    """The weights and buffers on the straight line; at 0 and 1 exactly the ends.

    Args:
        start: Weights and buffers at 0.
        end: At 1.
        alpha: Where.
    """
    if alpha in {0, 1}:
        return end if alpha else start
    mixed = [
        {
            n: a if not a.is_floating_point() else (1 - alpha) * a + alpha * second[n]
            for n, a in first.items()
        }
        for first, second in zip(start, end, strict=True)
    ]
    return mixed[0], mixed[1]


def straight(land: Landscape, start: State, end: State | None, at: list[float]) -> Table:
    """The losses on the straight line between two states, one row per point.

    Args:
        land: The objective.
        start: Weights and buffers at 0.
        end: At 1; None for the model's own.
        at: Where.

    Cost: one forward pass per point and example, two where there is batch norm.
    """
    own = (land.weights, {n: b.detach() for n, b in land.subject.model.named_buffers()})
    return np.stack([at_state(land, between(start, end or own, a)) for a in at])


def at_state(land: Landscape, state: State) -> Float[np.ndarray, " examples"]:
    """The losses at weights, with statistics of batch norm measured there.

    Args:
        land: The objective.
        state: Weights and buffers.
    """
    weights, buffers = state
    if land.norms:
        buffers = land.statistics(weights, buffers)
    return land.losses(weights, buffers)


def rise(table: Table, end: Float[np.ndarray, " examples"]) -> tuple[float, Interval]:
    """How far the highest inner point lies above an end, with an interval for all together.

    Args:
        table: Losses, one row per point; the first and the last row are ends.
        end: The losses there, per example.
    """
    rises = table[1:-1] - end
    rises = rises[np.isfinite(rises).all(1)]
    require(len(rises) > 0, "no point between the ends has a finite loss")
    return float(rises.mean(1).max()), largest(rises)


def largest(rows: Table) -> Interval:
    """An interval for the largest of several means, whichever it is.

    Args:
        rows: One per mean, one column per example; a row that is not finite is left out.
    """
    rows = rows[np.isfinite(rows).all(1)]
    ends = [mean_interval(row, level_of_each(len(rows))) for row in rows]
    if not ends:
        return float("-inf"), float("inf")
    return max(low for low, _ in ends), max(high for _, high in ends)
