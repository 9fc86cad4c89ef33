"""The weights that a finished run was judged on, as a file of its folder."""

import hashlib
from typing import Any

import safetensors.torch
from torch import nn

from wellposed.errors import RunFolderError
from wellposed.runs import RunFolder

NAME = "weights.safetensors"
_LIMIT = 2**36


def write_weights(folder: RunFolder, model: nn.Module) -> dict[str, Any]:
    """Write the state of the model, and return what results.json says of the file."""
    tensors = {k: v.detach().cpu().contiguous().clone() for k, v in model.state_dict().items()}
    content = safetensors.torch.save(tensors)
    folder.write(NAME, content)
    return {"file": NAME, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def load_weights(folder: RunFolder, model: nn.Module) -> None:
    """Put the weights that a finished run was judged on into a model of the same shape.

    Args:
        folder: Of a run that is done.
        model: As the run's recipe builds it; anywhere, in any memory layout.

    Raises:
        RunFolderError: If the run is not done, or the file was changed or is of another model.
    """
    if not folder.has("results.json"):
        raise RunFolderError(
            f"{folder.path} has no results, since training has not come to its end "
            f"(status {folder.status}); first `wellposed resume {folder.path}`"
        )
    facts = folder.read_json("results.json").get("weights_file", {})
    content = folder.read(NAME, limit=_LIMIT)
    if hashlib.sha256(content).hexdigest() != facts.get("sha256"):
        raise RunFolderError(
            f"{folder.path / NAME} is not what the run wrote: its sha256 differs from the one in "
            "results.json; `wellposed resume` writes it again from the last checkpoint"
        )
    tensors = safetensors.torch.load(content)
    right = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in tensors.items()}
    for name in [*right, *found]:
        if right.get(name) != found.get(name):
            raise RunFolderError(
                f"{folder.path / NAME} has {name} of shape {found.get(name)}, but the model has "
                f"{right.get(name)}; build the model from the run's own recipe.toml"
            )
    model.load_state_dict(tensors)
