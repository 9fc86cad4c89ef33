"""How far away the nearest break is, and what that says about robust accuracy at every radius."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from wellposed.errors import require
from wellposed.perturb._attacked import Attacked
from wellposed.perturb._ball import Ball, flat, rounded_up


def break_distances(
    found: Attacked, inputs: Float[Tensor, "n ..."], ball: Ball
) -> Float[Tensor, " n"]:
    """The distance of each example that was found from its input, infinite where none breaks.

    It is an upper bound of the distance to the nearest point that breaks, rounding errors included:
    at any radius at least as large, the input is broken.

    Args:
        found: By an attack for the nearest point, such as `FMN` or `FAB(smallest=True)`.
        inputs: Those that were attacked.
        ball: Of the norm to measure in; its radius is not used.

    Returns float64. Raises `ArgumentError` if the inputs are not those of the result, by shape.
    """
    require(
        found.examples.shape == inputs.shape,
        f"break_distances needs the inputs that were attacked, of shape "
        f"{tuple(found.examples.shape)}, got {tuple(inputs.shape)}",
    )
    distances = ball.distance(found.examples, inputs)
    if ball.norm != "linf":
        distances = rounded_up(distances, flat(inputs).shape[1])
    return torch.where(found.broken, distances, torch.inf)


def accuracy_at(distances: Float[Tensor, " n"], radii: Sequence[float]) -> list[float]:
    """Upper bounds of robust accuracy: the share of the examples not broken within each radius.

    Args:
        distances: From `break_distances`, of at least one example.
        radii: At least 0; infinity counts what breaks at all.

    Raises `ArgumentError` for a radius below 0 or no example.
    """
    require(len(distances) > 0, "accuracy_at needs at least one distance, got none")
    for radius in radii:
        require(radius >= 0, f"accuracy_at needs radii of at least 0, got {radius}")
    held = [(distances > r) | (distances == torch.inf) for r in radii]
    return [float(share.double().mean()) for share in held]
