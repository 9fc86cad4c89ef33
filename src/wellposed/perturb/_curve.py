"""The same attack at several radii, each with what the smaller ones have found."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from wellposed.errors import require
from wellposed.perturb._attack import Attack
from wellposed.perturb._attacked import Attacked
from wellposed.perturb._ball import Ball, Bounds
from wellposed.perturb._pool import Pool

_POOL = Pool()


def attack_curve(  # noqa: PLR0913 - an attack's own arguments, and the radii
    attack: Attack,
    model: nn.Module,
    inputs: Float[Tensor, "n ..."],
    labels: Int[Tensor, " n"],
    ball: Ball,
    radii: Sequence[float],
    *,
    bounds: Bounds = (0.0, 1.0),
    seed: int = 0,
    pool: Pool = _POOL,
) -> list[Attacked]:
    """What an attack finds at each radius, from the smallest to the largest.

    An example that is broken at a radius is broken at all larger ones, by the same point, and costs
    nothing there. The others start from the best point of the radius before, where a further
    restart is random. The share that is not broken therefore never rises with the radius.

    Args:
        attack: The attack.
        model: As in `Attack`.
        inputs: Shape (n, ...), within the bounds.
        labels: The right classes, from 0.
        ball: Its norm is that of all balls; its own radius is not used.
        radii: At least 0, ascending.
        bounds: Least and greatest value of an input.
        seed: Of random starts and the like.
        pool: The size of the batch. A checkpoint is kept per radius: of work.safetensors, in
            work-0.safetensors, work-1.safetensors ...

    Returns one result per radius; its counts are what was spent at that radius. Raises
    `ArgumentError` for radii that do not ascend.

    Cost: at each radius that of the attack on the examples that were not broken before.
    """
    require(
        list(radii) == sorted(set(radii)),
        f"radii ascend and differ from each other, got {list(radii)}; sort them",
    )
    found: list[Attacked] = []
    for number, eps in enumerate(radii):
        those = torch.ones(len(inputs), dtype=torch.bool, device=inputs.device)
        if found:
            those = ~found[-1].broken
        new = attack(
            model,
            inputs[those],
            labels[those],
            ball.resized(eps),
            bounds=bounds,
            seed=seed,
            begin=found[-1].examples[those] if found else None,
            pool=replace(pool, checkpoint=_numbered(pool.checkpoint, number)),
        )
        found.append(_joined(found[-1], those, new) if found else new)
    return found


def _joined(before: Attacked, those: Tensor, new: Attacked) -> Attacked:
    """The result before, with those examples from the new one, and the new one's counts alone."""
    examples, broken, margin = before.examples.clone(), before.broken.clone(), before.margin.clone()
    better = new.broken | (new.margin < margin[those])
    places = those.nonzero().squeeze(1)[better]
    examples[places], margin[places] = new.examples[better], new.margin[better]
    broken[those] = new.broken
    counts = [torch.zeros_like(before.gradients), torch.zeros_like(before.forwards)]
    counts[0][those], counts[1][those] = new.gradients, new.forwards
    return Attacked(examples, broken, margin, counts[0], counts[1])


def _numbered(path: Path | None, number: int) -> Path | None:
    return None if path is None else path.with_stem(f"{path.stem}-{number}")
