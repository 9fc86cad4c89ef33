"""The error: what is counted, where the loss is what is minimized."""

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from wellposed.errors import ArgumentError


@torch.no_grad()
def top_k_error(
    outputs: Float[Tensor, "batch classes"], targets: Shaped[Tensor, "batch ..."], k: int = 1
) -> Float[Tensor, " batch"]:
    """1 where the target is not among the k largest outputs, else 0, per example.

    Among equal outputs the class of lower number comes first, so that for k = 1 this is
    `outputs.argmax(1) != targets`. An example with a NaN output is an error: a network that has
    blown up predicts nothing. Nothing waits for the device.

    Args:
        outputs: Scores; only their order matters.
        targets: Class numbers: integers, shape (batch,).
        k: How many guesses are allowed, from 1 to the number of classes.

    Raises:
        ArgumentError: If k is outside that range, or the targets are not class numbers.
    """
    classes = outputs.shape[1]
    if not 1 <= k <= classes:
        raise ArgumentError(
            f"top_k_error needs k from 1 to the number of classes, {classes}, got k={k}"
        )
    if targets.dim() != 1 or targets.is_floating_point():
        raise ArgumentError(
            "top_k_error needs targets that are class numbers (integers, shape (batch,)), "
            f"got {targets.dtype} of shape {tuple(targets.shape)}"
        )
    if k == 1:
        largest, guess = outputs.max(1)  # the first of equals; NaN counts as the largest
        return ((guess != targets) | largest.isnan()).float()
    target = targets.long().unsqueeze(1)
    own = outputs.gather(1, target)
    number = torch.arange(classes, device=outputs.device)
    ahead = (outputs > own) | ((outputs == own) & (number < target))
    return ((ahead.sum(1) >= k) | outputs.isnan().any(1)).float()
