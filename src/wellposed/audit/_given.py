"""A model as somebody gave it: compiled, lazy, without numbers, or of another type than inputs."""

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from wellposed.errors import require


def uncompiled(model: nn.Module) -> nn.Module:
    """The module inside what `torch.compile` made: hooks would have it compiled again and again."""
    inner = getattr(model, "_orig_mod", None)
    return inner if isinstance(inner, nn.Module) else model


def plain_names(weights: Mapping[str, Tensor] | None) -> Mapping[str, Tensor] | None:
    """Weights under the names of the module that was compiled."""
    return weights and {name.replace("_orig_mod.", ""): w for name, w in weights.items()}


def require_numbers(model: nn.Module, name: str) -> None:
    """Weights that are numbers already.

    Args:
        model: The network.
        name: What it is called.

    Raises `ArgumentError` if some have no shape yet, or are on the meta device.
    """
    tensors = [*model.parameters(), *model.buffers()]
    require(
        not any(map(is_lazy, tensors)),
        f"{name} has lazy layers without weights; call it once on a batch, and then load its "
        "weights",
    )
    require(
        not any(t.is_meta for t in tensors),
        f"{name} is on the meta device, where weights have no numbers; make it on another "
        "(model.to_empty) and load them",
    )


def other_type(model: nn.Module, inputs: Tensor) -> str:
    """The type of the weights in words, where inputs have another; empty otherwise."""
    types = {p.dtype for p in model.parameters() if p.is_floating_point()}
    if len(types) != 1 or inputs.dtype in types:
        return ""
    return f" (its weights are {types.pop()})"
