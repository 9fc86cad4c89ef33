"""Random directions in which every filter moves in proportion to its size."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from wellposed.errors import require

_NORMS = ("BatchNorm", "LayerNorm", "GroupNorm", "InstanceNorm", "RMSNorm")


def filter_normalized(
    model: nn.Module, generator: torch.Generator, *, names: Mapping[str, Tensor] | None = None
) -> dict[str, Tensor]:
    r"""A Gaussian direction d with $\|d_{l,i}\| = \|w_{l,i}\|$ for every filter i of each layer l.

    A filter is what makes one output: a row of a matrix, a stack of kernels. Biases, and all
    parameters of normalization layers, do not move. One step along d then means the same for
    networks whose weights differ by a factor that the next layer undoes.

    Args:
        model: Whose weights.
        generator: Of the draws, on the CPU.
        names: Parameters that may move; None for those that require a gradient.

    Returns the direction by name of the parameters, those that do not move left out. Raises
    `ArgumentError` if no parameter is left, or all filters are 0.

    References:
        Li, Xu, Taylor, Studer and Goldstein, Visualizing the loss landscape of neural nets, 2018,
        arXiv:1712.09913.
    """
    known = dict(model.named_parameters())
    movable = names if names is not None else {n: p for n, p in known.items() if p.requires_grad}
    still = _of_normalization(model)
    chosen = {n: known[n] for n in movable if known[n].dim() >= 2 and n not in still}
    if not chosen:  # weights in vectors alone: each is one filter
        chosen = {n: known[n] for n in movable if n not in still}
    require(
        bool(chosen),
        "no parameter can move: all are frozen, or belong to normalization layers; unfreeze some",
    )
    turned = _turned(model)
    found = {}
    for name, parameter in chosen.items():
        drawn = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        found[name] = _matched(drawn, parameter.detach(), 1 if name in turned else 0)
    require(
        any(bool(d.any()) for d in found.values()),
        "all filters of the model are 0, so that a direction in proportion to them is none",
    )
    return found


def length(direction: Mapping[str, Tensor]) -> float:
    """The norm of a direction, all weights together."""
    return float(sum(d.double().square().sum() for d in direction.values()) ** 0.5)


def moved(
    weights: Mapping[str, Tensor],
    directions: Sequence[Mapping[str, Tensor]],
    by: Sequence[float],
) -> dict[str, Tensor]:
    """New tensors: the weights plus multiples of directions; exactly the weights where all are 0.

    Args:
        weights: By name.
        directions: By name of weights; what a direction leaves out does not move.
        by: One multiple per direction.
    """
    found = dict(weights)
    for direction, factor in zip(directions, by, strict=True):
        if factor != 0:
            found |= {name: found[name] + factor * d for name, d in direction.items()}
    return found


def _matched(drawn: Tensor, weight: Tensor, axis: int) -> Tensor:
    """The drawn numbers, each slice along the axis as long as the weights' one."""
    whole = weight.dim() < 2
    rest = [k for k in range(weight.dim()) if whole or k != axis]
    size = weight.double().square().sum(rest, keepdim=True).sqrt()
    drawn = drawn.to(weight.device)
    drawn = drawn * (size / drawn.square().sum(rest, keepdim=True).sqrt())
    return drawn.to(weight.dtype)


def _of_normalization(model: nn.Module) -> set[str]:
    """Names of the parameters of normalization layers."""
    return {
        f"{name}.{key}" if name else key
        for name, module in model.named_modules()
        if any(word in type(module).__name__ for word in _NORMS)
        for key, _ in module.named_parameters(recurse=False)
    }


def _turned(model: nn.Module) -> set[str]:
    """Names of the weights whose outputs are along their second axis: transposed convolutions."""
    return {
        f"{name}.weight" if name else "weight"
        for name, module in model.named_modules()
        if "ConvTranspose" in type(module).__name__
    }
