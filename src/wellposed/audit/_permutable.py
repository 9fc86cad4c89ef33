"""Hidden units that may change places: the layers of a network that is one chain."""

import operator
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, final

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from wellposed.errors import ArgumentError

Modules = tuple[type[nn.Module], ...]

_LAYERS: Modules = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
_PER_UNIT: Modules = (
    nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.InstanceNorm1d, nn.InstanceNorm2d,
    nn.InstanceNorm3d, nn.LayerNorm, nn.PReLU,
)  # fmt: skip
_SAME: Modules = (
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish,
    nn.Tanh, nn.Sigmoid, nn.Softplus, nn.Softsign, nn.Hardtanh, nn.Hardswish, nn.Hardsigmoid,
    nn.LogSigmoid, nn.Tanhshrink, nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d,
    nn.AlphaDropout, nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool2d,
    nn.AvgPool3d, nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.Flatten,
    nn.ZeroPad2d,
)  # fmt: skip
_FUNCTIONS = {
    torch.relu, torch.tanh, torch.sigmoid, torch.flatten, functional.relu, functional.relu6,
    functional.leaky_relu, functional.elu, functional.selu, functional.gelu, functional.silu,
    functional.mish, functional.tanh, functional.sigmoid, functional.softplus,
    functional.hardswish, functional.dropout, functional.max_pool2d, functional.avg_pool2d,
    functional.adaptive_avg_pool2d, functional.max_pool1d, functional.avg_pool1d,
}  # fmt: skip
_METHODS = {"relu", "relu_", "tanh", "sigmoid", "flatten", "view", "reshape", "contiguous", "mean"}
_SIZES = {"size", "dim"}


@final
@dataclass(frozen=True, slots=True)
class Hidden:
    """A layer whose outputs may be permuted.

    Args:
        layer: Its name.
        units: Number of outputs.
        beside: Names of all tensors with one entry per unit: bias, normalization.
        after: Name of the layer that takes the units in.
    """

    layer: str
    units: int
    beside: tuple[str, ...]
    after: str


def permutable(model: nn.Module) -> tuple[Hidden, ...]:
    """The hidden layers of a network in which every layer feeds the next one alone.

    Linear and convolutional layers, with normalization per unit, elementwise activations, pooling
    and flattening between them; `torch.fx` follows the inputs through the forward function.

    Args:
        model: Not called.

    Raises:
        ArgumentError: If it is no such chain, or has no hidden layer; the sentence says where.
    """
    found = _followed(model)
    hidden = []
    for (layer, between), (after, _) in pairwise(found):
        units = len(_weight(model.get_submodule(layer)))
        beside = [f"{layer}.bias"] if model.get_submodule(layer).bias is not None else []
        for name in between:
            for key, value in _tensors(model.get_submodule(name)).items():
                if value.shape == (units,):
                    beside.append(f"{name}.{key}")
                elif value.numel() > 1:
                    raise ArgumentError(
                        f"{name} has a {key} of shape {tuple(value.shape)} after the {units} "
                        f"units of {layer}, so that they cannot change places"
                    )
        fan_in = _weight(model.get_submodule(after)).shape[1]
        if fan_in % units:
            raise ArgumentError(
                f"{after} takes {fan_in} inputs, no multiple of the {units} units of {layer}"
            )
        hidden.append(Hidden(layer, units, tuple(beside), after))
    if not hidden:
        raise ArgumentError("it has no hidden layer, so that there is nothing to match")
    return tuple(hidden)


def permuted(
    hidden: tuple[Hidden, ...], state: Mapping[str, Tensor], order: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """The same function with its hidden units in another order.

    Args:
        hidden: Of the network.
        state: Weights and buffers by name; not written.
        order: For each layer by name which unit comes where, a permutation; missing for none.
    """
    found = dict(state)
    for item in hidden:
        if item.layer not in order:
            continue
        places = order[item.layer]
        for name in (f"{item.layer}.weight", *item.beside):
            if name in found:
                found[name] = found[name][places]
        weight = found[f"{item.after}.weight"]
        blocks = weight.reshape(len(weight), item.units, -1)[:, places]
        found[f"{item.after}.weight"] = blocks.reshape(weight.shape)
    return found


def _followed(model: nn.Module) -> list[tuple[str, list[str]]]:
    """Names of the layers in their order, each with the per-unit modules behind it."""
    try:
        graph = fx.Tracer().trace(model)
    except Exception as error:
        raise ArgumentError(
            "its forward function cannot be followed symbolically "
            f"({type(error).__name__}), so that it is not known which units feed which"
        ) from error
    found: list[tuple[str, list[str]]] = []
    seen: set[str] = set()
    for node in graph.nodes:
        if node.op == "output" or _is_size(node):
            continue
        users = [user for user in node.users if not _is_size(user)]
        if len(users) > 1:
            raise ArgumentError(
                f"it is no chain: {_name(node)} feeds {len(users)} others, as in a residual "
                "network, and units that are added must change places together"
            )
        if node.op == "call_module":
            _append(model, str(node.target), found, seen)
        elif node.op != "placeholder" and not _known(node):
            raise ArgumentError(f"{_name(node)} is no layer that units are known to pass singly")
    return found


def _append(
    model: nn.Module, name: str, found: list[tuple[str, list[str]]], seen: set[str]
) -> None:
    """Put a module of the chain where it belongs."""
    module: Any = model.get_submodule(name)
    if isinstance(module, _LAYERS):
        if name in seen:
            raise ArgumentError(f"{name} is used twice, so that its units cannot change places")
        if getattr(module, "groups", 1) != 1:
            raise ArgumentError(f"{name} is a grouped convolution, which is not matched")
        seen.add(name)
        found.append((name, []))
    elif isinstance(module, _PER_UNIT):
        if found:
            found[-1][1].append(name)
    elif not isinstance(module, _SAME):
        raise ArgumentError(
            f"{name or 'a part'} is a {type(module).__name__}, which is no layer that units are "
            "known to pass singly"
        )


def _known(node: fx.Node) -> bool:
    """Whether a function treats all units alike."""
    if node.op == "call_method":
        return node.target in _METHODS
    return node.op == "call_function" and node.target in _FUNCTIONS


def _is_size(node: fx.Node) -> bool:
    """Whether it only asks for a shape, or takes one apart."""
    if node.op == "call_method":
        return node.target in _SIZES
    if node.op != "call_function" or node.target not in {getattr, operator.getitem, len}:
        return False
    if node.target is getattr:
        return node.args[1] == "shape"
    return node.target is len or (isinstance(node.args[0], fx.Node) and _is_size(node.args[0]))


def _name(node: fx.Node) -> str:
    if node.op == "placeholder":
        return "the input"
    return str(getattr(node.target, "__name__", node.target))


def _weight(layer: nn.Module) -> Tensor:
    """The weight of a linear or convolutional layer."""
    weight: Any = layer.weight
    return torch.as_tensor(weight.detach())


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers of a module's own."""
    return {
        **dict(module.named_parameters(recurse=False)),
        **dict(module.named_buffers(recurse=False)),
    }
