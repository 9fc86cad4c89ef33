"""Four networks, trained briefly on Fashion-MNIST, and the batch whose Hessian is examined."""

import functools
import gzip
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn


@dataclass
class Case:
    """A trained network and the examples of its loss.

    Args:
        name: For the tables.
        model: In eval mode.
        inputs: Standardized images, one batch.
        targets: Classes.
        weights: How many.
        accuracy: On 2,000 test images.
    """

    name: str
    model: nn.Module
    inputs: Tensor
    targets: Tensor
    weights: int
    accuracy: float


def lenet(act: type[nn.Module]) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), act(), nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5), act(), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), act(), nn.Linear(120, 84), act(), nn.Linear(84, 10),
    )  # fmt: skip


def convnet() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(3136, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip


def mini() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, stride=2), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(216, 22), nn.Tanh(), nn.Linear(22, 10),
    )  # fmt: skip


NETWORKS = {
    "mini": (mini, 256),
    "LeNet-tanh": (lambda: lenet(nn.Tanh), 512),
    "LeNet-ReLU": (lambda: lenet(nn.ReLU), 512),
    "ConvNet": (convnet, 256),
}


def case(name: str, images: int, epochs: int = 2) -> Case:
    """The network after some epochs of Adam, always the same."""
    make, examples = NETWORKS[name]
    train, test = loaded()
    torch.manual_seed(0)
    model = make()
    adam = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(epochs):
        for rows in torch.randperm(images).split(128):
            adam.zero_grad()
            nn.functional.cross_entropy(model(train[0][rows]), train[1][rows]).backward()
            adam.step()
    model.eval().zero_grad()
    with torch.no_grad():
        right = (model(test[0][:2000]).argmax(1) == test[1][:2000]).double().mean()
    count = sum(p.numel() for p in model.parameters())
    return Case(name, model, train[0][:examples], train[1][:examples], count, float(right))


@functools.cache
def loaded() -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Training and test part, standardized: mean 0 and variance 1 over all training pixels."""
    folder = Path(os.environ["WELLPOSED_DATA"]) / "fashion-mnist"

    def read(name: str, skip: int) -> np.ndarray:
        raw = gzip.decompress((folder / f"{name}-ubyte.gz").read_bytes())
        return np.frombuffer(raw, np.uint8, offset=skip)

    parts = []
    for part in ("train", "t10k"):
        images = read(f"{part}-images-idx3", 16).reshape(-1, 1, 28, 28).astype(np.float32)
        labels = read(f"{part}-labels-idx1", 8).astype(np.int64)
        parts.append((torch.from_numpy((images - 72.94) / 90.02), torch.from_numpy(labels)))
    return parts[0], parts[1]
