"""Work on file: named tensors with notes, and the fingerprint of what they belong to."""

import json
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from wellposed.errors import DataError
from wellposed.runs import atomic_write


def fingerprint(said: Any, tensors: Iterable[Tensor]) -> str:
    """The sha256 of what decides about a result.

    Args:
        said: Whatever JSON can hold.
        tensors: Inputs, weights and the like.
    """
    digest = sha256(json.dumps(said).encode())
    for tensor in tensors:
        digest.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
        plain = tensor.detach().cpu().contiguous().view(-1)
        digest.update(plain.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def store(path: Path, name: str, tensors: Mapping[str, Tensor], notes: Any = None) -> None:
    """Replace the file by these tensors; the old or the new is there, whole.

    Args:
        path: A safetensors file.
        name: The fingerprint of the work.
        tensors: By name.
        notes: Whatever JSON can hold.
    """
    content = {key: value.detach().contiguous() for key, value in tensors.items()}
    about = {"work": name, "notes": json.dumps(notes)}
    atomic_write(path, safetensors.torch.save(content, about))


def stored(path: Path, name: str, device: torch.device) -> tuple[dict[str, Tensor], Any]:
    """The tensors of a file, and its notes.

    Raises:
        DataError: If it is damaged, or of other work.
    """
    try:
        with safetensors.safe_open(path, "pt", device=str(device)) as file:
            about = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        notes = json.loads(about.get("notes", "null"))
    except (safetensors.SafetensorError, OSError, json.JSONDecodeError) as error:
        raise DataError(f"{path} is no checkpoint of an attack: {error}") from error
    if about.get("work") != name:
        raise DataError(
            f"{path} was saved by another attack, or for another model, inputs, ball, seed or "
            "batch; give a new path, or the same arguments"
        )
    return tensors, notes
