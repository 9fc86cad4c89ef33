"""Weights from a file that may come from strangers: tensors only, sizes looked at first."""

import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from wellposed.errors import DataError, first_line, nearest

_NESTED = ("state_dict", "model_state_dict", "model", "weights")
_PREFIXES = ("module.", "_orig_mod.", "model.")


def read_weights(path: Path | str, *, limit: int = 32 * 2**30) -> dict[str, Tensor]:
    """The state dict in a file: safetensors, or what `torch.save` wrote.

    Pickles are read with `weights_only=True`, which runs no code. Where the file holds a whole
    checkpoint, the state dict in it is taken: under "state_dict", "model_state_dict", "model" or
    "weights". Tensors are on the CPU.

    Args:
        path: The file.
        limit: Bytes; a larger file is refused before it is read.

    Raises:
        DataError: If the file is missing, too large, damaged, or holds anything but tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path} is not a file; give weights as .safetensors, .pt or .pth")
    size = _unpacked(path)
    if size > limit:
        raise DataError(
            f"{path} unpacks to {size / 2**30:.1f} GiB, and at most {limit / 2**30:g} GiB are "
            "read; raise the limit if these are your weights"
        )
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on protocols of pickle
            found = torch.load(path, map_location="cpu", weights_only=True)
    except (safetensors.SafetensorError, OSError, EOFError) as error:
        raise DataError(f"{path} is damaged: {first_line(error)}; get a fresh copy") from error
    except Exception as error:
        raise DataError(
            f"{path} holds more than tensors, or is damaged, and is not unpickled{_asks(error)}; "
            "save the state dict alone: torch.save(model.state_dict(), path)"
        ) from error
    return _state(found, path)


def put_weights(model: nn.Module, state: Mapping[str, Tensor], where: str) -> None:
    """Put weights into a model they fit exactly; nothing is changed where they do not.

    A prefix that wrappers add to every name ("module.", "_orig_mod.", "model.") is taken off.

    Args:
        model: Changed in place.
        state: Tensors by name.
        where: What the weights are called in an error.

    Raises `DataError` if a name is missing or too many, or a shape or the kind of numbers differs.
    """
    model.load_state_dict(fitted_weights(model, state, where))


def fitted_weights(model: nn.Module, state: Mapping[str, Tensor], where: str) -> dict[str, Tensor]:
    """Copies of weights, under the model's own names, after it was seen that they fit.

    Args:
        model: Not changed.
        state: As for `put_weights`.
        where: What the weights are called in an error.

    Raises:
        DataError: If a name is missing or too many, or a shape or the kind of numbers differs.
    """
    right = {name: value for name, value in model.state_dict().items() if isinstance(value, Tensor)}
    given = _without_prefix(state, right)
    fault = misfit(given, right)
    if fault:
        raise DataError(f"{where} does not fit {type(model).__name__}: {fault}")
    return {name: given[name].detach().clone() for name in right}


def misfit(given: Mapping[str, Tensor], right: Mapping[str, Tensor]) -> str:
    """Why weights do not fit, in words; empty if they do."""
    missing = [name for name in right if name not in given]
    surplus = [name for name in given if name not in right]
    if missing:
        near = f"; {nearest(missing[0], surplus)}" if surplus else ""
        return f"it lacks {_some(missing)}{near}"
    if surplus:
        return f"it has {_some(surplus)}, which the model does not know"
    for name, value in right.items():
        if given[name].shape != value.shape:
            found, wanted = tuple(given[name].shape), tuple(value.shape)
            return f"{name} has shape {found}, the model's has {wanted}"
        if not _keeps(given[name], value.dtype):
            return f"{name} is {given[name].dtype}, which {value.dtype} of the model cannot hold"
    return ""


def _keeps(value: Tensor, dtype: torch.dtype) -> bool:
    """Whether numbers become others by no more than rounding."""
    if value.is_complex() or dtype.is_complex:
        return dtype.is_complex
    if value.is_floating_point() and dtype.is_floating_point:
        return True
    return torch.equal(value.to(dtype).to(value.dtype), value)


def _without_prefix(state: Mapping[str, Tensor], right: Mapping[str, Tensor]) -> dict[str, Tensor]:
    found = dict(state)
    for prefix in _PREFIXES:
        if found and not set(found) & set(right) and all(n.startswith(prefix) for n in found):
            found = {name.removeprefix(prefix): value for name, value in found.items()}
    return found


def _state(found: Any, path: Path) -> dict[str, Tensor]:
    for key in _NESTED:
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
            break
    if not isinstance(found, Mapping) or not all(isinstance(v, Tensor) for v in found.values()):
        kinds = (
            sorted({type(v).__name__ for v in found.values()})
            if isinstance(found, Mapping)
            else [type(found).__name__]
        )
        raise DataError(
            f"{path} holds {', '.join(kinds)[:200]}; weights are a state dict of tensors: "
            "torch.save(model.state_dict(), path)"
        )
    return {str(name): value for name, value in found.items()}


def _unpacked(path: Path) -> int:
    """The bytes that reading will take, as the file itself says."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return sum(item.file_size for item in archive.infolist())
    return path.stat().st_size


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _asks(error: Exception) -> str:
    """What a pickle would have run, in words; torch's own advice is to run it."""
    found = re.search(r"GLOBAL ([\w.]+)", str(error))
    return f", since it asks for {found[1]}" if found else ""
