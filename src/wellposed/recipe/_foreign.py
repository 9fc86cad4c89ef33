"""A model of somebody else's becomes the subject of an audit."""

from pathlib import Path

import torch
from torch import Tensor, nn

from wellposed.audit import Descent, Subject, fitted_weights, put_weights, read_weights
from wellposed.data import Dataset, Places, load
from wellposed.errors import RecipeError, first_line
from wellposed.recipe._arguments import signature
from wellposed.recipe._lookup import imported
from wellposed.recipe._origin import Origin
from wellposed.recipe._registry import named
from wellposed.recipe._source import source_at


def subject_of_module(  # noqa: PLR0913 - one argument per thing that can be known of it
    factory: str,
    *,
    data: str,
    weights: Path | None = None,
    initial: Path | None = None,
    other: Path | None = None,
    loss: str = "crossentropy",
    lr: float | None = None,
    raw: bool = False,
    split: bool = False,
    data_dir: Path | None = None,
    seed: int = 0,
) -> Subject:
    """A model that `package.module:factory` makes, on data by name.

    The factory is given `shape` and `classes` where its signature asks for them.

    Args:
        factory: Its code is run; the current directory is searched as well.
        data: A dataset's name, a folder of images, or an .npz file.
        weights: A file of weights: safetensors, or of `torch.save`. None keeps what the factory
            made.
        initial: A file with the weights before training.
        other: A file with the weights of a second training.
        loss: Name of a loss of `wellposed.losses`.
        lr: The step size of training, for the verdict on stability.
        raw: Give the model raw inputs; otherwise they are standardized by the training part.
        split: Whether training was on the parts that `wellposed.data.load` draws from this seed.
            Otherwise the parts are those that the data have, and data of one part are all taken as
            the test part: nobody knows what the model was trained on.
        data_dir: Where to look for the data first.
        seed: Of the split, the factory and the audit's draws.

    Raises `RecipeError` if the factory cannot be imported, fails, or makes no `nn.Module`.
    """
    found = _data(data, raw=raw, split=split, data_dir=data_dir, seed=seed)

    def rebuild() -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return _made(factory, found)

    model = rebuild()
    one = not split and set(found.parts) == {"train"}
    if weights is not None:
        put_weights(model, read_weights(weights), str(weights))
    return Subject(
        model.eval(),
        {"test": found.train} if one else found,
        named("loss", loss, Origin("--loss"), ("loss",))(),
        descent=None if lr is None else Descent("sgd", lr),
        initial=_weights(model, initial),
        other=_weights(model, other),
        rebuild=rebuild,
        standardization=None if raw else found.standardization,
        classes=found.classes,
        input_range=found.input_range,
        name=factory,
        data_name=found.name,
        seed=seed,
    )


def _weights(model: nn.Module, path: Path | None) -> dict[str, Tensor] | None:
    """The weights in a file, if one is named."""
    return None if path is None else fitted_weights(model, read_weights(path), str(path))


def _data(name: str, *, raw: bool, split: bool, data_dir: Path | None, seed: int) -> Dataset:
    """Data by name, or from a folder or file, standardized, and split if that is asked for."""
    chosen, places = source_at(name), Places(data_dir)
    if split:
        return load(chosen, seed=seed, standardize=not raw, places=places)
    return load(chosen, validation=0, test=0, standardize=not raw, places=places)


def _made(factory: str, data: Dataset) -> nn.Module:
    """What the factory makes.

    Raises:
        RecipeError: If it fails, or makes no `nn.Module`.
    """
    make = imported(factory)
    asked = signature(make)
    known = {"shape": data.shape, "classes": data.num_classes}
    given = {key: value for key, value in known.items() if key in asked}
    try:
        model = make(**given)
    except (Exception, SystemExit) as error:
        fault = first_line(error)
        raise RecipeError(
            f"{factory} failed, called with {', '.join(given) or 'no arguments'}: {fault}; it is "
            "given shape and classes if it has arguments of these names"
        ) from error
    if not isinstance(model, nn.Module):
        raise RecipeError(f"{factory} gives a {type(model).__name__}; a model is a torch.nn.Module")
    return model
