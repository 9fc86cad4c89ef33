"""State dictionaries as JSON plus named tensors, without pickle."""

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from wellposed.errors import ArgumentError, RunFolderError


def flatten(tree: Any, name: str = "") -> tuple[Any, dict[str, Tensor]]:
    """Split a tree of dicts, lists, numbers and tensors into a JSON value and its tensors.

    Tensors are named by their way through the tree ("model.conv.weight"), and the memory layout
    of those that are not contiguous (channels_last) is noted, so that `unflatten` gives back the
    same tree bit by bit and stride by stride.

    Args:
        tree: What `state_dict()` of a module, optimizer or scheduler returns, nested at will.
        name: Put before the names of the tensors.

    Raises `ArgumentError` if the tree holds something else, such as a function.
    """
    tensors: dict[str, Tensor] = {}
    return _plain(tree, name, tensors), tensors


def unflatten(plain: Any, tensors: Mapping[str, Tensor]) -> Any:
    """The tree that `flatten` took apart.

    Raises:
        RunFolderError: If a tensor is missing or the JSON is none that `flatten` makes.
    """
    if isinstance(plain, list):
        return [unflatten(item, tensors) for item in plain]
    if not isinstance(plain, dict):
        return plain
    tags = [key for key in plain if key.startswith("$")]
    if not tags:
        return {key: unflatten(item, tensors) for key, item in plain.items()}
    try:
        return _revive(tags[0], plain[tags[0]], plain, tensors)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise RunFolderError(
            f"the state of a checkpoint does not fit its tensors ({tags[0]}: {error}); "
            "remove that checkpoint to go on from an older one"
        ) from error


def _plain(tree: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """The JSON form of a tree; its tensors are added to `tensors`."""
    if tree is None or isinstance(tree, bool | int | str):
        return tree
    if isinstance(tree, float):
        return tree if math.isfinite(tree) else {"$float": repr(tree)}
    if isinstance(tree, Tensor):
        return _reference(tree, name, tensors)
    if isinstance(tree, list):
        return [_plain(item, f"{name}.{at}", tensors) for at, item in enumerate(tree)]
    if isinstance(tree, tuple):
        return {"$tuple": _plain(list(tree), name, tensors)}
    if isinstance(tree, Mapping):
        return _plain_mapping(tree, name, tensors)
    raise ArgumentError(
        f"{name} is a {type(tree).__name__}, which a checkpoint cannot hold without pickle; "
        "keep numbers, strings, tensors, and lists and dicts of them in a state_dict()"
    )


def _plain_mapping(tree: Mapping[Any, Any], name: str, tensors: dict[str, Tensor]) -> Any:
    """A dict as a JSON object if its keys are plain strings, else as a list of pairs."""
    values = [_plain(item, f"{name}.{key}".lstrip("."), tensors) for key, item in tree.items()]
    if all(isinstance(key, str) and not key.startswith("$") for key in tree):
        plain = dict(zip(tree, values, strict=True))
        return {"$counter": plain} if isinstance(tree, Counter) else plain
    keys = [_plain(key, f"{name} (a key)", tensors) for key in tree]
    pairs = [list(pair) for pair in zip(keys, values, strict=True)]
    return {"$counter" if isinstance(tree, Counter) else "$map": pairs}


def _reference(tensor: Tensor, name: str, tensors: dict[str, Tensor]) -> dict[str, Any]:
    """What stands for a tensor in the JSON; the tensor goes to `tensors`, on the CPU."""
    while name in tensors:
        name += "'"
    tensor = tensor.detach()
    tensors[name] = tensor.to("cpu").contiguous()
    dense = tensor.is_contiguous() or not _is_permutation(tensor)
    return {"$tensor": name} | ({} if dense else {"stride": list(tensor.stride())})


def _is_permutation(tensor: Tensor) -> bool:
    """Whether the tensor fills its memory without gaps, in whatever order of dimensions."""
    spans = sorted((s, n) for s, n in zip(tensor.stride(), tensor.shape, strict=True) if n != 1)
    expected = 1
    for stride, size in spans:
        if stride != expected:
            return False
        expected *= size
    return True


def _revive(tag: str, value: Any, plain: dict[str, Any], tensors: Mapping[str, Tensor]) -> Any:
    """What a tagged JSON object stands for.

    Raises:
        ValueError: If nobody knows the tag.
    """
    if tag == "$tensor":
        tensor = tensors[value]
        if "stride" not in plain:
            return tensor
        return torch.empty_strided(tensor.shape, plain["stride"], dtype=tensor.dtype).copy_(tensor)
    if tag == "$float":
        return float(value)
    if tag == "$tuple":
        return tuple(unflatten(value, tensors))
    if tag in {"$map", "$counter"}:
        pairs = value.items() if isinstance(value, dict) else value
        found = {unflatten(key, tensors): unflatten(item, tensors) for key, item in pairs}
        return Counter(found) if tag == "$counter" else found
    raise ValueError("unknown tag")
