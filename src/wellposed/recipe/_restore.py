"""A run folder becomes a network again, without its data."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch
from pydantic import BaseModel, Field, PositiveFloat, PositiveInt, ValidationError
from torch import nn

from wellposed.data import Standardization, read_image
from wellposed.errors import RunFolderError, WellposedError, first_line, require
from wellposed.recipe._build import network
from wellposed.recipe._check import Parts, check
from wellposed.recipe._recipe import Recipe
from wellposed.runs import RunFolder
from wellposed.train import load_weights


@final
@dataclass(frozen=True)
class Restored:
    """A trained network and what is needed to use it.

    Args:
        model: With the weights that the run was judged on, in eval mode, on the CPU.
        recipe: That trained it.
        parts: The recipe's tables as constructors.
        classes: Names of the classes.
        shape: Of one input.
        standardization: Applied to inputs before the model.
        data: The content of data.json.
    """

    model: nn.Module
    recipe: Recipe
    parts: Parts
    classes: tuple[str, ...]
    shape: tuple[int, ...]
    standardization: Standardization
    data: dict[str, Any]

    @torch.no_grad()
    def probabilities(self, image: str | Path, *, invert: bool = False) -> dict[str, float]:
        """Softmax of the model's outputs for a picture, by class.

        Args:
            image: A PNG or JPEG file; converted and resized as the model wants it.
            invert: Swap dark and light.

        Raises `ArgumentError` if the model does not take pictures of 1 or 3 channels.
        """
        takes = len(self.shape) == 3 and self.shape[0] in {1, 3}
        require(
            takes,
            f"this model takes inputs of shape {self.shape}, not pictures; a model trained on "
            "images can predict from them",
        )
        channels, height, width = self.shape
        pixels = read_image(image, (channels, height, width))
        low, high = self.data["input_range"]
        raw = low + (high - low) * (1 - pixels if invert else pixels)
        outputs = self.model(self.standardization.apply(raw[None]))[0]
        shares = outputs.double().softmax(0).tolist()
        return dict(zip(self.classes, shares, strict=True))


def restore(folder: RunFolder | Path | str) -> Restored:
    """The network of a finished run, from its folder alone: no data are read.

    Args:
        folder: Of a single run that is done. A user's own model must be importable again, and its
            code is run: look at `Recipe.own_code` first if the folder is not yours.

    Raises:
        RunFolderError: If the folder is a race's, not finished, damaged or tampered with.
    """
    folder = folder if isinstance(folder, RunFolder) else RunFolder.open(Path(folder))
    if folder.kind != "run":
        runs = folder.run_paths()
        example = runs[0] if runs else folder.path / "runs" / "..."
        raise RunFolderError(
            f"{folder.path} is a race of several runs; name one of them, such as {example}"
        )
    data = _described(folder)
    recipe = Recipe.parse(folder.recipe, str(folder.path / "recipe.toml"))
    parts = check(recipe)
    shape, classes = tuple(data["shape"]), tuple(data["classes"])
    model = network(parts, recipe, shape, len(classes))
    try:
        load_weights(folder, model)
    except WellposedError:
        raise
    except Exception as error:
        fault = first_line(error)
        raise RunFolderError(
            f"{folder.path} has damaged results or weights ({fault}); restore it from a copy"
        ) from error
    standardization = Standardization.from_dict(data["standardization"])
    return Restored(model.eval(), recipe, parts, classes, shape, standardization, data)


def _described(folder: RunFolder) -> dict[str, Any]:
    """What data.json says, as far as it is needed.

    Raises:
        RunFolderError: If it is missing or does not say it.
    """
    try:
        found: dict[str, Any] = folder.read_json("data.json") if folder.has("data.json") else {}
        kept = _Described.model_validate(found).model_dump()
    except ValidationError:
        raise RunFolderError(
            f"{folder.path} has no usable data.json, which says the shape and the classes of its "
            f"data; `wellposed resume {folder.path}` writes it if the run is unfinished"
        ) from None
    return {**found, **kept}


class _Standardization(BaseModel):
    mean: list[float] = Field(min_length=1)
    std: list[PositiveFloat] = Field(min_length=1)


class _Described(BaseModel):
    name: str
    classes: list[str] = Field(min_length=1, max_length=100_000)
    shape: list[PositiveInt] = Field(min_length=1, max_length=4)
    standardization: _Standardization
    input_range: tuple[float, float] = (0.0, 1.0)
