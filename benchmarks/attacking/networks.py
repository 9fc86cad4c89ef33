"""Four pairs of networks, plain and trained robustly, and the images that are attacked."""

import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from wellposed.recipe import Recipe, build, dataset
from wellposed.train import fit


@dataclass(frozen=True)
class Pair:
    """A plain network and its robust twin.

    Args:
        data: Name of the dataset.
        model: The same network for both, as a recipe says it.
        eps: Radius of the attack in the maximum norm; images are from 0 to 1.
        trained: Radius of the robust twin's training.
        epochs: Of the plain and of the robust one.
        steps: Of the adversary in training.
        flip: Whether images are mirrored in training.
    """

    data: str
    model: str
    eps: float
    trained: float
    epochs: tuple[int, int]
    steps: int
    flip: bool = False


PAIRS = {
    "Fashion-MNIST": Pair("fashion-mnist", "{name='stridedcnn'}", 0.1, 0.1, (3, 3), 4),
    "MNIST": Pair("mnist", "{name='stridedcnn', width=16}", 0.2, 0.2, (2, 6), 5),
    "Fashion-MNIST, LeNet": Pair("fashion-mnist", "{name='lenet'}", 0.05, 0.05, (3, 4), 3),
    "CIFAR-10 JPEG": Pair(
        "cifar10", "{name='stridedcnn', width=16}", 4 / 255, 4 / 255, (3, 4), 3, flip=True
    ),
}
KINDS = ("plain", "robust")


@dataclass
class Victim:
    """A network and its images.

    Args:
        name: Of the pair, and the kind.
        model: In eval mode.
        inputs: Test images from 0 to 1, in the order of the file.
        labels: Their classes.
        eps: Radius of the attack.
        weights: How many.
        clean: Share of all test images that are right.
        recipe: What it was trained by, in one line.
    """

    name: str
    model: nn.Module
    inputs: Tensor
    labels: Tensor
    eps: float
    weights: int
    clean: float
    recipe: str


def victim(
    name: str, kind: str, images: tuple[int, int], cache: Path, data_dir: str | None
) -> Victim:
    """The trained network, from the cache or trained now, and the test images of this range."""
    pair = PAIRS[name]
    changes = _changes(pair, kind)
    recipe = Recipe.read("fashion-mnist-robust").override(changes)
    data = dataset(recipe, data_dir=data_dir)
    made = build(recipe, data=data)
    digest = sha256(json.dumps(changes).encode()).hexdigest()[:12]
    path = cache / f"{pair.data}-{kind}-{digest}.safetensors"
    if path.exists():
        model = made.problem.model
        model.load_state_dict(load_file(path))
    else:
        model = fit(made.problem, made.optimizer, made.plan, schedulers=made.schedulers).model
        cache.mkdir(parents=True, exist_ok=True)
        save_file({k: v.contiguous() for k, v in model.state_dict().items()}, path)
    model = model.float().eval()
    inputs, labels = data.test.take(torch.arange(len(data.test)))
    with torch.no_grad():
        parts = zip(inputs.split(500), labels.split(500), strict=True)
        clean = sum(int((model(x).argmax(1) == y).sum()) for x, y in parts) / len(labels)
    chosen = slice(*images)
    count = sum(p.numel() for p in model.parameters())
    said = " ".join(changes)
    return Victim(
        f"{name}, {kind}", model, inputs[chosen], labels[chosen], pair.eps, count, clean, said
    )


def _changes(pair: Pair, kind: str) -> list[str]:
    robust = kind == "robust"
    adversary = f"{{name='adversarialtraining', eps={pair.trained!r}, steps={pair.steps}}}"
    return [
        f"data={{name='{pair.data}', validation=0.0, standardize=false}}",
        f"augment={'[{name=' + repr('flip') + '}]' if pair.flip else '[]'}",
        f"model={pair.model}",
        f"regularizer=[{adversary if robust else ''}]",
        f"train.epochs={pair.epochs[robust]}",
    ]
